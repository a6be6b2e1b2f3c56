/** Builds as docker's clients ask for them: the classic builder, buildx over gRPC, and dockerode. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import Docker from "dockerode";
import { dockerClients, openEngine, type TestEngine } from "../fixtures/engine.ts";
import { image, TREE } from "../fixtures/images.ts";
import { until } from "../fixtures/until.ts";
import { startPrivateRegistry, tool } from "../sentry/image/registry-fixture.ts";

const plugins = execFileSync(join(TREE, "test/fixtures/buildx.sh"), { encoding: "utf8" })
  .split("\n")
  .filter((line) => line !== "");
const host = mkdtempSync(join(tmpdir(), "dd-docker-build-"));
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

let count = 0;

function context(files: Readonly<Record<string, string>>): string {
  const directory = join(host, `context-${count++}`);
  mkdirSync(directory);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

const classic = (...args: string[]) =>
  engine.docker(["build", ...args], { env: { DOCKER_BUILDKIT: "0" } });

const run = async (tag: string, ...command: string[]) =>
  (await engine.docker(["run", "--rm", tag, ...command])).stdout;

test("labels alone make an image of nothing, and nothing at all makes none", async (t) => {
  const directory = context({ Dockerfile: "FROM scratch\n" });
  const empty = await classic("-t", "empty:1", directory);
  t.regex(empty.stderr, /No image was generated. Is your Dockerfile empty\?/);
  const made = await classic("-t", "labelled:1", "--label", "x=y", directory);
  t.is(made.code, 0, made.stderr);
  const shown = await engine.docker(["inspect", "-f", "{{json .Config.Labels}}", "labelled:1"]);
  t.is(shown.stdout, '{"x":"y"}\n');
});

test("the classic builder tells its steps in docker's words", async (t) => {
  const directory = context({
    Dockerfile:
      "FROM busybox:test\nARG A\nCOPY f /f\nRUN echo out; echo err >&2; echo $A > /a\nCMD cat /a\n",
    f: "f",
  });
  const args = ["-t", "classic:1", "--build-arg", "A=given", "--label", "x=y", directory];
  const { code, stdout, stderr } = await classic(...args);
  t.is(code, 0, stderr);
  const ids = stdout.slice(stdout.indexOf("Step 1")).replace(/[0-9a-f]{12}/g, "ID");
  t.is(
    ids,
    [
      "Step 1/5 : FROM busybox:test",
      " ---> ID",
      "Step 2/5 : ARG A",
      " ---> Running in ID",
      " ---> Removed intermediate container ID",
      " ---> ID",
      "Step 3/5 : COPY f /f",
      " ---> ID",
      "Step 4/5 : RUN echo out; echo err >&2; echo $A > /a",
      " ---> Running in ID",
      "out",
      "\u001b[91merr",
      "\u001b[0m ---> Removed intermediate container ID",
      " ---> ID",
      "Step 5/5 : CMD cat /a",
      " ---> Running in ID",
      " ---> Removed intermediate container ID",
      " ---> ID",
      "Successfully built ID",
      "Successfully tagged classic:1",
      "",
    ].join("\n"),
  );
  t.is(await run("classic:1"), "given\n");
  const again = await classic(...args);
  const cached = (text: string) => text.split("\n").filter((line) => line === " ---> Using cache");
  t.is(cached(again.stdout).length, 4, "every step but the first");
  t.is(again.stdout.slice(-60), stdout.slice(-60), "the same build gives the same image");
  const quiet = await classic("-q", directory, "--build-arg", "A=given");
  t.regex(quiet.stdout, /^sha256:[0-9a-f]{64}\n$/);
});

test("the classic builder takes steps from the cache only of images that are here", async (t) => {
  const directory = context({ Dockerfile: "FROM busybox:test\nENV A=b\nRUN echo >/cached\n" });
  const build = async (...args: string[]) =>
    (await classic("-t", "cached:1", ...args, directory)).stdout.match(/Using cache/g)?.length ?? 0;
  await build();
  t.is(await build("--cache-from", "cached:1"), 2);
  t.is(await build("--cache-from", "nosuch:1"), 0);
  t.is(await build("--no-cache"), 0);
});

test("a .dockerignore can hide itself and the Dockerfile from the classic builder's context", async (t) => {
  const directory = context({
    Dockerfile: 'FROM busybox:test\nCOPY . /context\nCMD ["ls", "-A", "/context"]\n',
    ".dockerignore": "Dockerfile\n.dockerignore\nhidden\n",
    shown: "",
    hidden: "",
  });
  t.is((await classic("-t", "ignoring:1", directory)).code, 0);
  t.is(await run("ignoring:1"), "shown\n");
});

const REFUSALS: readonly (readonly [what: string, dockerfile: string, words: RegExp])[] = [
  [
    "a command that fails",
    "FROM busybox:test\nRUN exit 5\n",
    /The command '\/bin\/sh -c exit 5' returned a non-zero code: 5/,
  ],
  [
    "a file that is missing",
    "FROM busybox:test\nCOPY nope /\n",
    /COPY failed: file not found in build context or excluded by \.dockerignore: stat nope: file does not exist/,
  ],
  [
    "an instruction that nobody knows",
    "FROM busybox:test\nFOO\n",
    /dockerfile parse error on line 2: unknown instruction: FOO/,
  ],
];
for (const [what, Dockerfile, words] of REFUSALS) {
  test(`the classic builder refuses ${what} in docker's words`, async (t) => {
    const { code, stderr } = await classic(context({ Dockerfile }));
    t.not(code, 0);
    t.regex(stderr, words);
  });
}

for (const plugin of plugins) {
  const suite = plugin.split("/").at(-2) ?? "";

  /** Runs docker with this buildx. */
  const buildx = (...args: string[]) => buildxWith({}, ...args);
  const buildxWith = (options: { readonly input?: Uint8Array }, ...args: string[]) => {
    const config = join(host, `config-${suite}`);
    mkdirSync(join(config, "cli-plugins"), { recursive: true });
    const target = join(config, "cli-plugins/docker-buildx");
    if (!readdirSync(join(config, "cli-plugins")).includes("docker-buildx")) {
      copyFileSync(plugin, target);
    }
    // Bake asks whether it may read outside of the directory it was started in.
    const env = { DOCKER_CONFIG: config, BUILDX_BAKE_ENTITLEMENTS_FS: "0" };
    return engine.docker(args, { env, ...options });
  };

  test(`buildx of ${suite} builds with secrets, contexts, ignored files and an id`, async (t) => {
    const other = context({ o: "other" });
    const directory = context({
      Dockerfile: [
        "FROM busybox:test AS base",
        "RUN --mount=type=secret,id=s cat /run/secrets/s > /seen",
        "FROM base",
        "COPY --from=oth o /o",
        "COPY . /all",
        "ARG WHO",
        `RUN echo ${suite} $WHO`,
      ].join("\n"),
      ".dockerignore": "ignored\n",
      ignored: "x",
      kept: "x",
    });
    const secret = join(context({ s: "secret" }), "s");
    const iid = join(host, `iid-${suite}`);
    const { code, stderr } = await buildx(
      ...["build", "--progress=plain", "-t", `built:${suite}`, "--build-arg", "WHO=me"],
      ...["--secret", `id=s,src=${secret}`, "--build-context", `oth=${other}`, "--iidfile", iid],
      directory,
    );
    t.is(code, 0, stderr);
    t.regex(stderr, /\[stage-1 4\/4\] RUN echo/);
    t.regex(stderr, new RegExp(`^#\\d+ [\\d.]+ ${suite} me$`, "m"));
    t.is(
      await run(`built:${suite}`, "sh", "-c", "cat /seen /o; echo; ls -A /all"),
      "secretother\n.dockerignore\nDockerfile\nkept\n",
    );
    t.is(
      (await engine.docker(["inspect", "-f", "{{.Id}}", `built:${suite}`])).stdout.trim(),
      readFileSync(iid, "utf8").trim(),
    );
  });

  test(`buildx of ${suite} shows the line of the Dockerfile that failed`, async (t) => {
    const { code, stderr } = await buildx(
      ...["build", "--progress=plain"],
      context({ Dockerfile: "FROM busybox:test\nRUN exit 7\n" }),
    );
    t.is(code, 1);
    t.regex(stderr, /^Dockerfile:2$/m);
    t.regex(stderr, />>> RUN exit 7/);
    t.regex(
      stderr,
      /failed to solve: process "\/bin\/sh -c exit 7" did not complete successfully: exit code: 7/,
    );
  });

  test(`buildx of ${suite} sends an archive of its own input as the context`, async (t) => {
    const directory = context({ Dockerfile: "FROM scratch\nCOPY f /g\n", f: "sent" });
    const archive = execFileSync("tar", ["cz", "-C", directory, "."]);
    const out = join(host, `archive-${suite}`);
    const { code, stderr } = await buildxWith({ input: archive }, "build", "-o", out, "-");
    t.is(code, 0, stderr);
    t.is(readFileSync(join(out, "g"), "utf8"), "sent");
  });

  test(`buildx of ${suite} gives steps their limits, and only the networks that were allowed`, async (t) => {
    const Dockerfile = [
      "FROM busybox:test",
      "RUN (ulimit -n; hostname; grep -o size=[0-9]*k /proc/mounts) > /seen",
      "FROM busybox:test AS host",
      "RUN --network=host true",
    ].join("\n");
    const directory = context({ Dockerfile });
    const limits = ["--ulimit", "nofile=77:88", "--shm-size", "3m", "--target", "0"];
    const hostname = ["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=named"];
    const tag = `limited:${suite}`;
    const made = await buildx("build", "-t", tag, ...limits, ...hostname, directory);
    t.is(made.code, 0, made.stderr);
    t.regex(await run(tag, "cat", "/seen"), /^77\nnamed\n(?:.*\n)*size=3072k\n/);
    const refused = await buildx("build", directory);
    t.true(refused.stderr.includes("network.host is not allowed"), refused.stderr);
    const allowed = await buildx("build", "--allow", "network.host", directory);
    t.is(allowed.code, 0, allowed.stderr);
  });

  test(`buildx of ${suite} builds for several platforms at once`, async (t) => {
    const directory = context({
      Dockerfile: [
        "FROM --platform=$BUILDPLATFORM busybox:test AS tool",
        "ARG TARGETPLATFORM TARGETVARIANT",
        'RUN echo "$TARGETPLATFORM $TARGETVARIANT" > /for',
        "FROM scratch",
        "COPY --from=tool /for /",
      ].join("\n"),
    });
    const several = ["buildx", "build", "--platform", "linux/amd64,linux/arm64,linux/arm"];
    const out = join(host, `platforms-${suite}`);
    const files = await buildx(...several, "-o", out, directory);
    t.is(files.code, 0, files.stderr);
    t.deepEqual(readdirSync(out).sort(), ["linux_amd64", "linux_arm64", "linux_arm_v7"]);
    t.is(readFileSync(join(out, "linux_arm64/for"), "utf8"), "linux/arm64 \n");
    t.is(readFileSync(join(out, "linux_arm_v7/for"), "utf8"), "linux/arm/v7 v7\n");
    const cached = await buildx(
      "buildx",
      "build",
      "--cache-to",
      `type=local,dest=${out}`,
      directory,
    );
    t.regex(cached.stderr, /cache export of type local is not supported/);
    const loaded = await buildx(...several, "-t", `several:${suite}`, directory);
    t.regex(loaded.stderr, /exporting multiple references to image store is currently unsupported/);
  });

  test(`buildx of ${suite} writes files and archives instead of an image`, async (t) => {
    const directory = context({ Dockerfile: "FROM scratch\nCOPY f /d/f\n", f: "file" });
    const out = join(host, `out-${suite}`);
    const files = await buildx("build", "-o", out, directory);
    t.is(files.code, 0, files.stderr);
    t.is(readFileSync(join(out, "d/f"), "utf8"), "file");
    const tar = await buildx("build", "-o", `type=tar,dest=${out}.tar`, directory);
    t.is(tar.code, 0, tar.stderr);
    const listed = execFileSync("tar", ["tf", `${out}.tar`], { encoding: "utf8" });
    t.deepEqual(listed.trim().split("\n"), ["d/", "d/f"]);
  });

  test(`buildx of ${suite} builds one target of a bake file on another`, async (t) => {
    const base = "FROM busybox:test\nENV FROM_BASE=1\nRUN echo base > /base\n";
    const app = "FROM base\nRUN echo $FROM_BASE > /env\nCOPY --from=base /base /copied\n";
    const file = join(host, `bake-${suite}.json`);
    const target = {
      base: { context: host, "dockerfile-inline": base },
      app: {
        context: host,
        contexts: { base: "target:base" },
        tags: [`baked:${suite}`],
        "dockerfile-inline": app,
      },
    };
    writeFileSync(file, JSON.stringify({ target }));
    const { code, stderr } = await buildx("buildx", "bake", "-f", file, "--progress=plain", "app");
    t.is(code, 0, stderr);
    t.is(await run(`baked:${suite}`, "cat", "/env", "/copied"), "1\nbase\n");
  });

  test(`buildx of ${suite} knows its builder and what the cache takes`, async (t) => {
    const listed = await buildx("buildx", "ls");
    t.regex(listed.stdout, /running/, listed.stderr);
    const inspected = await buildx("buildx", "inspect");
    t.regex(inspected.stdout, /Platforms:\s+linux\//, inspected.stderr);
    const used = await buildx("buildx", "du");
    t.regex(used.stdout, /Total:/, used.stderr);
  });

  // An older one neither asks for checks nor tells of them.
  if (suite === "trixie") continue;
  test(`buildx of ${suite} tells of what is odd about a Dockerfile`, async (t) => {
    const directory = context({ Dockerfile: "FROM scratch AS Big\nCOPY . /\n" });
    const warned = await buildx("build", directory);
    t.is(warned.code, 0, warned.stderr);
    t.regex(warned.stderr, /StageNameCasing: Stage name 'Big' should be lowercase \(line 1\)/);
    const checked = await buildx("build", "--check", directory);
    t.is(checked.code, 1);
    t.regex(checked.stdout + checked.stderr, />>> FROM scratch AS Big/);
    const targets = await buildx("buildx", "build", "--call=targets", directory);
    t.regex(targets.stdout, /^big \(default\)/m, targets.stderr);
  });

  // An older one pushes by docker afterwards, which has no index to push.
  test.serial(`buildx of ${suite} pushes an index of several platforms`, async (t) => {
    const registry = await startPrivateRegistry(t);
    const login = ["login", "-u", "me", "--password-stdin", registry];
    t.is((await buildxWith({ input: Buffer.from("pass:word") }, ...login)).code, 0);
    const directory = context({ Dockerfile: "FROM scratch\nCOPY f /\n", f: "pushed" });
    const name = `${registry}/team/several:${suite}`;
    const several = ["buildx", "build", "--platform", "linux/amd64,linux/arm64", "-t", name];
    const { code, stderr } = await buildx(...several, "--push", directory);
    t.is(code, 0, stderr);
    const other = ["--tls-verify=false", "--creds", "me:pass:word"];
    const raw = ["--insecure-policy", "inspect", "--raw", ...other, `docker://${name}`];
    const index = JSON.parse(tool("skopeo", ...raw));
    t.deepEqual(
      index.manifests.map(
        (each: { platform: { architecture: string } }) => each.platform.architecture,
      ),
      ["amd64", "arm64"],
    );
    const archive = join(host, `oci-${suite}.tar`);
    const kept = await buildx(...several, "-o", `type=oci,dest=${archive}`, directory);
    t.is(kept.code, 0, kept.stderr);
    const layout = execFileSync("tar", ["xOf", archive, "index.json"], { encoding: "utf8" });
    t.is(JSON.parse(layout).manifests[0].mediaType, "application/vnd.oci.image.index.v1+json");
    t.is((await engine.docker(["load", "-i", archive])).code, 0);
    t.is((await engine.docker(["image", "inspect", name])).code, 0);
  });
}

test.serial("dockerode builds by the classic builder and by BuildKit", async (t) => {
  const docker = new Docker({ socketPath: engine.socketPath });
  const directory = context({
    Dockerfile: "FROM busybox:test\nCOPY f /f\nRUN cat /f\n",
    f: "rode",
  });
  for (const version of ["1", "2"] as const) {
    const stream = await docker.buildImage(
      { context: directory, src: ["Dockerfile", "f"] },
      { t: `rode:${version}`, version },
    );
    const messages = await new Promise<readonly { error?: string }[]>((resolve, reject) => {
      docker.modem.followProgress(stream, (error, output) =>
        error === null ? resolve(output) : reject(error),
      );
    });
    t.deepEqual(
      messages.flatMap(({ error }) => error ?? []),
      [],
    );
    t.is(await run(`rode:${version}`, "cat", "/f"), "rode");
  }
});

// Serial: no other build may have steps meanwhile.
test.serial("a build whose client goes away ends, and leaves nothing behind", async (t) => {
  const directory = context({ Dockerfile: "FROM busybox:test\nRUN echo begun; sleep 1000\n" });
  const client = spawn(dockerClients()[0] ?? "", ["build", directory], {
    env: { ...engine.env, DOCKER_BUILDKIT: "0" } as NodeJS.ProcessEnv,
    stdio: ["ignore", "pipe", "ignore"],
  });
  let output = "";
  client.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString();
  });
  const ended = once(client, "exit");
  t.true(await until(() => /^begun$/m.test(output)), output);
  const steps = join(engine.dd.root, "build/steps");
  t.is(readdirSync(steps).length, 1);
  client.kill("SIGKILL");
  await ended;
  await until(() => readdirSync(steps).length === 0);
  t.deepEqual(readdirSync(steps), []);
});
