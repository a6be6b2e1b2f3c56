/** Compose (Debian's newest plugin) brings a project up in order, twice, and leaves nothing of it. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { openEngine, type TestEngine } from "../fixtures/engine.ts";
import { image, TREE } from "../fixtures/images.ts";
import { until } from "../fixtures/until.ts";

/** None, or one. */
const plugins = execFileSync(join(TREE, "test/fixtures/compose.sh"), { encoding: "utf8" })
  .split("\n")
  .filter((line) => line !== "");
const TIMES = 2;

/** A store that becomes healthy, a job that needs it, and a built web server in front of it. */
const PROJECT = `
services:
  store:
    image: busybox:test
    init: true
    command: [sh, -c, "echo stocked > /data/word; exec httpd -f -p 8080 -h /data"]
    volumes: [stock:/data]
    networks: [inner]
    healthcheck:
      test: [CMD, wget, -q, -O-, "http://127.0.0.1:8080/word"]
      interval: 200ms
      timeout: 30s
      retries: 100
  job:
    image: busybox:test
    command: [wget, -q, -O-, "http://store:8080/word"]
    networks: [inner]
    depends_on: {store: {condition: service_healthy}}
  web:
    build: ./web
    init: true
    ports: ["127.0.0.1::80"]
    networks: {inner: {aliases: [front]}, outer: {}}
    environment: {GREETING: "from \${WHO:-nobody}"}
    depends_on: {store: {condition: service_healthy}, job: {condition: service_completed_successfully}}
networks: {inner: {internal: true}, outer: {}}
volumes: {stock: {}}
`;
const DOCKERFILE = `FROM busybox:test
COPY word /www/cgi-bin/word
CMD ["httpd", "-f", "-p", "80", "-h", "/www"]
`;
const CGI = `#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "$GREETING: $(wget -q -O- http://store:8080/word)"
`;

const host = mkdtempSync(join(tmpdir(), "dd-compose-"));
let engine: TestEngine;

test.before(async (t) => {
  t.timeout(300_000);
  writeFileSync(join(host, "compose.yaml"), PROJECT);
  mkdirSync(join(host, "web"));
  writeFileSync(join(host, "web", "Dockerfile"), DOCKERFILE);
  writeFileSync(join(host, "web", "word"), CGI, { mode: 0o755 });
  engine = await openEngine();
  const directory = join(engine.env["DOCKER_CONFIG"] ?? "", "cli-plugins");
  mkdirSync(directory, { recursive: true });
  for (const plugin of plugins) symlinkSync(plugin, join(directory, "docker-compose"));
  await engine.dd.load(image("busybox"));
});
test.after.always(async () => {
  await engine?.close();
  rmSync(host, { recursive: true, force: true });
});

/** Runs compose, which must succeed. @returns what it printed. */
async function compose(t: ExecutionContext, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.docker(
    ["compose", "--project-directory", host, "-p", "shop", "--progress", "plain", ...args],
    // The classic builder: BuildKit's are driven in docker-build.test.ts.
    { env: { WHO: "compose", DOCKER_BUILDKIT: "0" } },
  );
  t.is(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

const ids = async (...args: string[]) => {
  const { stdout } = await engine.docker(args);
  return stdout.split("\n").filter((line) => line !== "");
};

/** `.../trixie/docker-compose` */
const suiteOf = (plugin: string) => plugin.split("/").at(-2);

for (const plugin of plugins) {
  test(`compose of ${suiteOf(plugin)}: a project comes up in order and goes without a trace, twice`, async (t) => {
    t.timeout(300_000);
    const networks = await ids("network", "ls", "-q");
    for (let i = 0; i < TIMES; i++) {
      await compose(t, "up", "-d");
      const shown = await compose(t, "ps", "-a", "--format", "{{.Service}} {{.State}} {{.Health}}");
      t.deepEqual(
        shown
          .trimEnd()
          .split("\n")
          .map((line) => line.trim())
          .sort(),
        ["job exited", "store running healthy", "web running"],
      );
      const address = (await compose(t, "port", "web", "80")).trim();
      // The web server is started, and may not listen yet.
      let reply = "";
      const ask = async () => (await fetch(`http://${address}/cgi-bin/word`)).text();
      await until(async () => {
        reply = await ask().catch(String);
        return reply === "from compose: stocked\n";
      });
      t.is(reply, "from compose: stocked\n");
      t.regex(await compose(t, "logs", "--no-color", "job"), /stocked/);
      const script = "wget -q -O- http://front/cgi-bin/word";
      t.is(await compose(t, "exec", "-T", "store", "sh", "-c", script), "from compose: stocked\n");
      // Nothing has changed: nothing is made anew.
      const before = await ids("ps", "-q", "--no-trunc");
      await compose(t, "up", "-d", "web");
      t.deepEqual(await ids("ps", "-q", "--no-trunc"), before);
      await compose(t, "down", "-v", "-t", "1");
      t.deepEqual(await ids("ps", "-aq"), []);
      t.deepEqual(await ids("volume", "ls", "-q"), []);
      t.deepEqual((await ids("network", "ls", "-q")).sort(), [...networks].sort());
    }
  });
}
