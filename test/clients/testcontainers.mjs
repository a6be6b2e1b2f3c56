/** Drives Testcontainers; run by run.sh where that package is. */
import assert from "node:assert/strict";
import { GenericContainer, Network, Wait } from "testcontainers";

const IMAGE = "busybox:latest";
const network = await new Network().start();
const web = await new GenericContainer(IMAGE)
  .withCommand(["httpd", "-f", "-p", "8080", "-h", "/tmp"])
  .withExposedPorts(8080)
  .withNetwork(network)
  .withNetworkAliases("web")
  .withCopyContentToContainer([{ content: "hello", target: "/tmp/index.html" }])
  .withWaitStrategy(Wait.forHttp("/index.html", 8080))
  .start();
const page = await fetch(`http://${web.getHost()}:${web.getMappedPort(8080)}/index.html`);
assert.equal(await page.text(), "hello");

const { stdout, stderr, exitCode } = await web.exec(["sh", "-c", "echo out; echo err >&2; exit 3"]);
assert.deepEqual({ stdout, stderr, exitCode }, { stdout: "out\n", stderr: "err\n", exitCode: 3 });

const peer = await new GenericContainer(IMAGE)
  .withCommand(["sh", "-c", "echo ready; sleep 1000"])
  .withNetwork(network)
  .withWaitStrategy(Wait.forLogMessage("ready"))
  .start();
assert.equal(
  (await peer.exec(["wget", "-q", "-O-", "http://web:8080/index.html"])).output,
  "hello",
);

const healthy = await new GenericContainer(IMAGE)
  .withCommand(["sleep", "1000"])
  .withHealthCheck({ test: ["CMD-SHELL", "true"], interval: 500, timeout: 9000, retries: 9 })
  .withWaitStrategy(Wait.forHealthCheck())
  .start();
await healthy.restart();
const once = await new GenericContainer(IMAGE)
  .withCommand(["true"])
  .withWaitStrategy(Wait.forOneShotStartup())
  .start();

for (const container of [web, peer, healthy, once]) await container.stop();
await network.stop();
console.log("testcontainers: all as expected");
