/** Mounts as docker's clients ask for them and are told of them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import Docker, { type MountSettings } from "dockerode";
import { openEngine, type TestEngine } from "../fixtures/engine.ts";
import { image } from "../fixtures/images.ts";

const IMAGE = "busybox:test";
const host = mkdtempSync(join(tmpdir(), "dd-docker-mounts-"));
let engine: TestEngine;

test.before(async (t) => {
  t.timeout(300_000);
  engine = await openEngine();
  await engine.dd.load(image("busybox"));
});
test.after.always(async () => {
  await engine?.close();
  rmSync(host, { recursive: true, force: true });
});

const run = (options: readonly string[], ...command: readonly string[]) =>
  engine.docker(["run", "--rm", ...options, IMAGE, ...command]);

test("an image is mounted to be read, all of it or a part, and is not removed meanwhile", async (t) => {
  t.timeout(300_000);
  await engine.docker(["create", "--name", "source", IMAGE]);
  writeFileSync(join(host, "word"), "from the image\n");
  await engine.docker(["cp", join(host, "word"), "source:/var/word"]);
  await engine.docker(["commit", "source", "data:1"]);
  const whole = await run(["--mount", "type=image,src=data:1,dst=/data"], "cat", "/data/var/word");
  t.is(whole.stdout, "from the image\n", whole.stderr);
  const part = ["--mount", "type=image,src=data:1,dst=/data,image-subpath=var/word"];
  t.is((await run(part, "cat", "/data")).stdout, "from the image\n");
  const written = await run(["--mount", "type=image,src=data:1,dst=/data"], "touch", "/data/x");
  t.regex(written.stderr, /Read-only file system/);
  const missing = await run(["--mount", "type=image,src=data:1,dst=/d,image-subpath=no"], "true");
  t.true(
    missing.stderr.includes("cannot access path /no: no such file or directory"),
    missing.stderr,
  );
  const mount = ["--mount", "type=image,src=data:1,dst=/data"];
  await engine.docker(["create", "--name", "reader", ...mount, IMAGE, "true"]);
  const shown = await engine.docker(["inspect", "-f", "{{json .Mounts}}", "reader"]);
  t.deepEqual(JSON.parse(shown.stdout), [
    {
      ...{ Type: "image", Name: "data:1", Source: "", Destination: "/data" },
      ...{ Mode: "", RW: false, Propagation: "rprivate" },
    },
  ]);
  await engine.docker(["rm", "source"]);
  const removed = await engine.docker(["rmi", "data:1"]);
  t.regex(removed.stderr, /conflict: unable to remove repository reference "data:1"/);
  await engine.docker(["rm", "reader"]);
  t.is((await engine.docker(["rmi", "data:1"])).code, 0);
});

test("a part of a volume that is not there is named", async (t) => {
  t.timeout(300_000);
  const { code, stderr } = await run(
    ["--mount", "type=volume,src=vol,dst=/x,volume-subpath=no/such"],
    "true",
  );
  t.is(code, 127, "as the client reads these words");
  t.regex(stderr, /cannot access path .*\/vol\/.*no\/such: no such file or directory/);
});

test("inspect tells the mode that was asked for, docker's own for volumes, and the propagation", async (t) => {
  const Mounts: MountSettings[] = [
    { Type: "bind", Source: host, Target: "/readonly", ReadOnly: true },
    { Type: "bind", Source: host, Target: "/slave/", BindOptions: { Propagation: "rslave" } },
    { Type: "volume", Source: "named", Target: "/named", ReadOnly: true },
  ];
  const Binds = [`${host}:/bind:ro,rshared`, "other:/other"];
  await new Docker({ socketPath: engine.socketPath }).createContainer({
    name: "mounted",
    Image: IMAGE,
    Volumes: { "/anonymous": {} },
    HostConfig: { Binds, Mounts },
  });
  const { stdout } = await engine.docker(["inspect", "-f", "{{json .Mounts}}", "mounted"]);
  const shown = JSON.parse(stdout) as readonly {
    readonly [name in "Destination" | "Mode" | "Propagation"]: string;
  }[];
  t.deepEqual(
    shown.map(({ Destination, Mode, Propagation }) => [Destination, Mode, Propagation]).sort(),
    [
      ["/anonymous", "", ""],
      ["/bind", "ro,rshared", "rshared"],
      ["/named", "z", ""],
      ["/other", "z", ""],
      ["/readonly", "", "rprivate"],
      ["/slave", "", "rslave"],
    ],
  );
});

test("the namespaces of other containers are told by their ids", async (t) => {
  const { stdout } = await engine.docker(["create", "--name", "donor", IMAGE]);
  await engine.docker(["create", "--name", "guest", "--ipc", "container:donor", IMAGE]);
  const shown = await engine.docker(["inspect", "-f", "{{.HostConfig.IpcMode}}", "guest"]);
  t.is(shown.stdout, `container:${stdout}`);
});

test("old logs are compressed when that is asked for, and all of them are shown", async (t) => {
  t.timeout(300_000);
  const options = ["max-size=2k", "max-file=50", "compress=true"].flatMap((each) => [
    "--log-opt",
    each,
  ]);
  await engine.docker(["run", "--name", "talker", ...options, IMAGE, "seq", "200"]);
  const { stdout } = await engine.docker(["logs", "talker"]);
  t.is(stdout, Array.from({ length: 200 }, (_, i) => `${i + 1}\n`).join(""));
});
