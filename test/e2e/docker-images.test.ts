/** What docker's clients, today's and Debian's, do with images and a registry that wants a login. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { dockerClients, openEngine, type TestEngine } from "../fixtures/engine.ts";
import type { RunResult } from "../fixtures/program.ts";
import { startPrivateRegistry, tool } from "../sentry/image/registry-fixture.ts";
import { tar } from "../sentry/image/tar-fixture.ts";

const ROOT = tar([
  { name: "bin/tool", mode: 0o755, content: "#!" },
  { name: "data", content: Buffer.alloc(200_000, "d") },
]);
const CLIENTS = dockerClients();
const host = mkdtempSync(join(tmpdir(), "dd-docker-images-"));
let engine: TestEngine;

test.before(async (t) => {
  t.timeout(300_000);
  engine = await openEngine();
  writeFileSync(join(host, "root.tar"), ROOT);
});
test.after.always(async () => {
  await engine?.close();
  rmSync(host, { recursive: true, force: true });
});

for (const [number, client] of CLIENTS.entries()) {
  /** Each client has names and a configuration of its own. */
  const name = `made-${number}`;
  const env = { DOCKER_CONFIG: mkdtempSync(join(host, "config-")) };
  const run = (args: readonly string[], input?: string): Promise<RunResult> =>
    engine.docker(args, {
      client,
      env: { ...engine.env, ...env },
      ...(input === undefined ? {} : { input }),
    });
  const docker = async (t: ExecutionContext, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(args);
    t.is(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout.trimEnd();
  };
  const refused = async (t: ExecutionContext, words: RegExp, ...args: string[]): Promise<void> => {
    const { code, stderr } = await run(args);
    t.is(code, 1, args.join(" "));
    t.regex(stderr, words);
  };

  test.serial(`client ${number}: an image is imported, named, shown and removed`, async (t) => {
    const changes = ["-c", "CMD /bin/tool", "-c", `LABEL client=${number}`, "-m", "by hand"];
    const id = await docker(t, "import", ...changes, join(host, "root.tar"), `${name}:1`);
    t.regex(id, /^sha256:[0-9a-f]{64}$/);
    await docker(t, "tag", `${name}:1`, `${name}:2`);
    const filter = ["--filter", `label=client=${number}`, "--format"];
    t.is(
      await docker(t, "images", ...filter, "{{.Repository}}:{{.Tag}} {{.Size}}"),
      `${name}:1 200kB\n${name}:2 200kB`,
    );
    t.is(
      await docker(t, "image", "inspect", "-f", "{{.Id}} {{.Config.Cmd}}", `${name}:2`),
      `${id} [/bin/sh -c /bin/tool]`,
    );
    t.is(await docker(t, "history", "--format", "{{.Comment}} {{.Size}}", id), "by hand 200kB");
    t.is(await docker(t, "rmi", `${name}:2`), `Untagged: ${name}:2`);
    await refused(t, /No such image: none/, "rmi", "none");
    await refused(t, /No such (image|object): none/, "image", "inspect", "none");
    await refused(t, /must be lowercase/, "tag", `${name}:1`, "UPPER");
    const removed = await docker(t, "rmi", `${name}:1`);
    t.regex(removed, new RegExp(`^Untagged: ${name}:1\nDeleted: ${id}\nDeleted: sha256:`));
    t.is(await docker(t, "images", "-q", ...filter.slice(0, 2)), "");
  });

  test.serial(
    `client ${number}: an image is saved and loaded, and comes back the same`,
    async (t) => {
      const id = await docker(t, "import", join(host, "root.tar"), `${name}:1`);
      const file = join(host, `${name}.tar`);
      await docker(t, "tag", `${name}:1`, `${name}-b:1`);
      await docker(t, "save", "-o", file, `${name}:1`, `${name}-b:1`);
      await docker(t, "rmi", `${name}:1`, `${name}-b:1`);
      const loaded = await docker(t, "load", "-i", file);
      t.is(loaded, `Loaded image: ${name}:1\nLoaded image: ${name}-b:1`);
      t.is(await docker(t, "image", "inspect", "-f", "{{.Id}}", `${name}-b:1`), id);
      const { code, stderr } = await run(["load"], "no archive at all");
      t.is(code, 1);
      t.regex(stderr, /archive/);
      await docker(t, "rmi", `${name}:1`, `${name}-b:1`);
    },
  );

  test.serial(`client ${number}: after a login an image is pushed and pulled`, async (t) => {
    const registry = await startPrivateRegistry(t);
    const image = `${registry}/team/${name}:1`;
    const id = await docker(t, "import", join(host, "root.tar"), image);
    await refused(t, /no basic auth credentials/, "push", image);
    const login = ["login", "-u", "me", "--password-stdin", registry];
    const bad = await run(login, "wrong");
    t.is(bad.code, 1);
    t.regex(bad.stderr, /unauthorized: incorrect username or password/);
    const good = await run(login, "pass:word");
    t.is(good.code, 0, good.stderr);
    t.regex(good.stdout, /Login Succeeded/);
    const pushed = await docker(t, "push", image);
    const [, digest = ""] = /1: digest: (sha256:[0-9a-f]{64}) size: \d+$/.exec(pushed) ?? [];
    t.regex(
      pushed,
      /^The push refers to repository \[.*\]\n([0-9a-f]{12}: Preparing\n)?[0-9a-f]{12}: Pushed\n/m,
    );
    t.regex(await docker(t, "push", image), /: Layer already exists\n/);
    const other = ["--src-tls-verify=false", "--src-creds", "me:pass:word"];
    const copy = join(host, `copy-${number}`);
    tool("skopeo", "--insecure-policy", "copy", ...other, `docker://${image}`, `dir:${copy}`);
    const manifest = JSON.parse(readFileSync(join(copy, "manifest.json"), "utf8"));
    t.is(manifest.config.digest, id);
    await docker(t, "rmi", image);
    const pulled = await docker(t, "pull", image);
    t.true(pulled.includes(`Digest: ${digest}\nStatus: Downloaded newer image for ${image}`));
    t.regex(await docker(t, "pull", image), /Status: Image is up to date for /);
    t.regex(await docker(t, "pull", "-a", image.replace(/:1$/, "")), /Status: Image is up to date/);
    const pinned = image.replace(/:1$/, `@${digest}`);
    t.is(await docker(t, "image", "inspect", "-f", "{{.Id}}", pinned), id);
    await refused(t, /manifest for \S+ not found: manifest unknown/, "pull", `${image}-none`);
    await docker(t, "logout", registry);
    await refused(t, /no basic auth credentials/, "pull", image);
    await docker(t, "rmi", image);
  });

  test.serial(`client ${number}: images without a name are pruned`, async (t) => {
    const [, id = ""] = (await docker(t, "import", join(host, "root.tar"))).split(":");
    const dangling = ["images", "-q", "--no-trunc", "--filter", "dangling=true"];
    t.is(await docker(t, ...dangling), `sha256:${id}`);
    const pruned = await docker(t, "image", "prune", "-f");
    t.regex(pruned, new RegExp(`deleted: sha256:${id}\ndeleted: sha256:[0-9a-f]{64}\n\n`));
    t.regex(pruned, /Total reclaimed space: 200kB$/);
    t.regex(await docker(t, "system", "df"), /Images +0 +0 +0B/);
  });
}
