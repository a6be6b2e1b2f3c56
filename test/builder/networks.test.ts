/** Steps in networks with containers. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { type Dd, openDd } from "../fixtures/dd.ts";
import { image } from "../fixtures/images.ts";

let dd: Dd;
const context = mkdtempSync(join(tmpdir(), "dd-networks-"));

const ok = async (...words: readonly string[]) => {
  const { code, stdout, stderr } = await dd.run(words);
  if (code !== 0) throw new Error(`ddcli ${words.join(" ")}: ${stderr}`);
  return stdout;
};

test.before(async () => {
  dd = openDd();
  await dd.load(image("busybox"));
  await ok("network", "create", "mine");
  const serve = "mkdir /w; echo found > /w/f; httpd -f -p 80 -h /w";
  await ok("run", "-d", "--name", "web", "--network", "mine", "busybox:test", "sh", "-c", serve);
  // The server may take a moment, but not longer than these attempts.
  const ask = (host: string) =>
    `for i in $(seq 100); do wget -qO /f http://${host}/f && break; sleep 0.1; done; cat /f`;
  writeFileSync(join(context, "by-name"), `FROM busybox:test\nRUN ${ask("web")}\n`);
  writeFileSync(join(context, "by-loopback"), `FROM busybox:test\nRUN ${ask("127.0.0.1")}\n`);
  writeFileSync(
    join(context, "links"),
    "FROM busybox:test\nRUN --network=none wc -l < /proc/net/dev > /n\nRUN wc -l < /proc/net/dev > /d\n",
  );
});
test.after.always(async () => {
  await dd.close();
  rmSync(context, { recursive: true, force: true });
});

const build = (file: string, network: string, ...options: readonly string[]) =>
  dd.run(["build", "-q", "-f", join(context, file), "--network", network, ...options, context]);

test("steps in a user's network find its containers by name", async (t) => {
  const { code, stderr } = await build("by-name", "mine", "-t", "asked:1");
  t.is(code, 0, stderr);
  t.is(await ok("run", "--rm", "asked:1", "cat", "/f"), "found\n");
});

test("steps can share the network of a container", async (t) => {
  const { code, stderr } = await build("by-loopback", "container:web", "-t", "asked:2");
  t.is(code, 0, stderr);
});

test("a RUN may have less network than the rest of its build", async (t) => {
  const { code, stderr } = await build("links", "mine", "-t", "asked:3");
  t.is(code, 0, stderr);
  t.is(await ok("run", "--rm", "asked:3", "cat", "/n", "/d"), "3\n4\n");
});

for (const [network, words] of [
  ["nosuch", "network nosuch not found"],
  ["container:nosuch", "No such container: nosuch"],
  ["container:", "invalid container format container:<name|id>"],
] as const) {
  test(`a build in the network ${network} is refused in docker's words`, async (t) => {
    const { code, stderr } = await build("by-name", network);
    t.not(code, 0);
    t.true(stderr.includes(words), stderr);
  });
}
