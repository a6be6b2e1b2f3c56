import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "ava";
import { type Dd, openDd } from "../fixtures/dd.ts";
import { image } from "../fixtures/images.ts";

/** One installation for all: what one build leaves must not disturb another. */
let dd: Dd;
test.before(async () => {
  dd = openDd();
  await dd.load(image("busybox"));
});
test.after.always(() => dd.close());

type Files = Readonly<Record<string, string>>;

/** A context of those files; `NAME ->` is a symlink. */
function context(files: Files): string {
  const directory = mkdtempSync(join(tmpdir(), "dd-context-"));
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name.replace(/ ->$/, ""));
    mkdirSync(dirname(path), { recursive: true });
    if (name.endsWith(" ->")) symlinkSync(text, path);
    else writeFileSync(path, text);
  }
  return directory;
}

let count = 0;

/** Builds the files' Dockerfile; what follows is given to `ddcli build`. */
async function build(files: Files, ...options: readonly string[]) {
  const directory = context(files);
  const tag = `built-${count++}`;
  try {
    const words = ["build", "--progress", "plain", "-t", tag, ...options, directory];
    return { tag, ...(await dd.run(words)) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const inImage = async (tag: string, script: string) =>
  (await dd.run(["run", "--rm", tag, "sh", "-c", script])).stdout;

test("a Dockerfile with every kind of instruction becomes an image that runs", async (t) => {
  const { code, stderr, tag } = await build({
    Dockerfile: [
      "ARG BASE=busybox:test",
      "FROM $BASE AS base",
      "ARG WHO=nobody",
      "ENV GREETING=hello NAME=$WHO",
      "LABEL a.b=c d='e f'",
      "WORKDIR /srv",
      "WORKDIR data",
      "COPY --chown=7:8 --chmod=640 in.txt ./out/",
      "RUN echo $GREETING $NAME > said; rm /bin/yes",
      'RUN ["sh", "-c", "echo exec > form"]',
      "RUN <<E cat > here",
      "one $WHO",
      "E",
      "FROM base",
      "COPY --from=base /srv/data/said /said",
      "COPY <<X /text",
      "who: $NAME",
      "X",
      "USER 7",
      "EXPOSE 80 53/udp",
      "VOLUME /vol",
      "STOPSIGNAL SIGINT",
      "HEALTHCHECK --interval=5s CMD true",
      'ENTRYPOINT ["/bin/sh"]',
      'CMD ["-c", "cat /said"]',
    ].join("\n"),
    "in.txt": "in\n",
  });
  t.is(code, 0, stderr);
  t.is((await dd.run(["run", "--rm", tag])).stdout, "hello nobody\n");
  const script = "id -u; pwd; cat here form /text; stat -c '%a %u:%g' out/in.txt; ls /bin/yes 2>&1";
  const { stdout } = await dd.run(["run", "--rm", tag, "-c", script]);
  t.is(
    stdout,
    "7\n/srv/data\none nobody\nexec\nwho: nobody\n640 7:8\nls: /bin/yes: No such file or directory\n",
  );
  const [inspected] = JSON.parse((await dd.run(["image", "inspect", tag])).stdout);
  t.like(inspected.Config.Labels, { "a.b": "c", d: "e f" });
  t.deepEqual([...inspected.Config.ExposedPorts].sort(), ["53/udp", "80/tcp"]);
  t.is(inspected.Config.StopSignal, "SIGINT");
});

test("steps are found again by what they do and see, not by when", async (t) => {
  const dockerfile = "FROM busybox:test\nCOPY a /a\nRUN cat /a > /b; echo ran-it\nENV x=y\n";
  const first = await build({ Dockerfile: dockerfile, a: "1" });
  const ran = /^#\d+ [\d.]+ ran-it$/m;
  t.regex(first.stderr, ran);
  const again = await build({ Dockerfile: dockerfile, a: "1" });
  t.notRegex(again.stderr, ran);
  t.is(again.stderr.match(/CACHED/g)?.length, 3);
  const changed = await build({ Dockerfile: dockerfile, a: "2" });
  t.regex(changed.stderr, ran);
  t.is(await inImage(changed.tag, "cat /b"), "2");
  const forced = await build({ Dockerfile: dockerfile, a: "1" }, "--no-cache");
  t.regex(forced.stderr, ran);
});

test("stages that the target does not need are not built", async (t) => {
  const Dockerfile = [
    "FROM busybox:test AS broken",
    "RUN false",
    "FROM busybox:test AS good",
    "RUN echo good > /which",
    "FROM broken",
  ].join("\n");
  const { code, stderr, tag } = await build({ Dockerfile }, "--target", "good");
  t.is(code, 0, stderr);
  t.is(await inImage(tag, "cat /which"), "good\n");
  const all = await build({ Dockerfile });
  t.is(all.code, 1);
  t.true(
    all.stderr.includes('process "/bin/sh -c false" did not complete successfully: exit code: 1'),
  );
  t.true(all.stderr.includes(">>> RUN false"), all.stderr);
  const missing = await build({ Dockerfile }, "--target", "god");
  t.true(
    missing.stderr.includes('target stage "god" could not be found (did you mean good?)'),
    missing.stderr,
  );
});

test("mounts of a RUN are there for it, and leave nothing in the image", async (t) => {
  const files = {
    Dockerfile: [
      "FROM busybox:test AS other",
      "RUN echo from-stage > /file",
      "FROM busybox:test",
      "RUN --mount=type=bind,target=/src,rw --mount=from=other,source=/file,target=/one \\",
      "    --mount=type=cache,target=/cache --mount=type=tmpfs,target=/tmpfs \\",
      "    --mount=type=secret,id=s --mount=type=secret,id=e,env=SECRET \\",
      "    cat /src/in /one /run/secrets/s > /seen; echo $SECRET >> /seen; \\",
      "    echo x >> /cache/n; cat /cache/n >> /seen; touch /src/new /tmpfs/t",
      "RUN ls -A /src /cache /tmpfs /one /run/secrets > /left 2>&1 || true",
    ].join("\n"),
    in: "context\n",
    s: "secret\n",
  };
  const secret = mkdtempSync(join(tmpdir(), "dd-secret-"));
  t.teardown(() => rmSync(secret, { recursive: true }));
  writeFileSync(join(secret, "s"), "secret\n");
  writeFileSync(join(secret, "e"), "in-env");
  const options = ["--secret", `id=s,src=${secret}/s`, "--secret", `id=e,src=${secret}/e`];
  const first = await build(files, ...options);
  t.is(first.code, 0, first.stderr);
  t.is(await inImage(first.tag, "cat /seen"), "context\nfrom-stage\nsecret\nin-env\nx\n");
  t.notRegex(await inImage(first.tag, "cat /left"), /new|secret$/m);
  const second = await build(files, "--no-cache", ...options);
  t.is(await inImage(second.tag, "tail -n 2 /seen"), "x\nx\n", "the cache mount was kept");
});

const MISSING: readonly (readonly [what: string, dockerfile: string])[] = [
  ["a path above the context", "FROM busybox:test\nCOPY ../../../etc/passwd /p\n"],
  ["a symlink that leads out of it", "FROM busybox:test\nCOPY out /p\n"],
  ["a symlink in the middle of a path", "FROM busybox:test\nCOPY root/etc/shadow /p\n"],
  ["what .dockerignore excludes", "FROM busybox:test\nCOPY ignored /p\n"],
];
for (const [what, Dockerfile] of MISSING) {
  test(`COPY of ${what} finds nothing`, async (t) => {
    const { code, stderr } = await build({
      Dockerfile,
      "out ->": "/etc/hostname",
      "root ->": "/",
      ".dockerignore": "ignored\n",
      ignored: "x",
    });
    t.is(code, 1);
    t.regex(stderr, /not found/);
  });
}

test("symlinks in the image lead within the image", async (t) => {
  const { code, stderr, tag } = await build({
    Dockerfile: [
      "FROM busybox:test",
      "RUN ln -s /etc /link && ln -s ../../../tmp/real /up && mkdir /tmp/real",
      "COPY a /link/",
      "COPY a /up/b",
    ].join("\n"),
    a: "a",
  });
  t.is(code, 0, stderr);
  t.is(await inImage(tag, "cat /etc/a /tmp/real/b; readlink /link"), "aa/etc\n");
});

test("COPY has wildcards, directories, --exclude, --parents and --link", async (t) => {
  const { code, stderr, tag } = await build({
    Dockerfile: [
      "FROM busybox:test",
      "COPY *.txt /wild/",
      "COPY --exclude=*.no dir /dir",
      "COPY --parents dir/sub/f /parents/",
      "COPY --link a.txt /linked/deep/a",
      "COPY dir/ dir/sub /both/",
    ].join("\n"),
    "a.txt": "a",
    "b.txt": "b",
    "c.md": "c",
    "dir/x": "x",
    "dir/y.no": "y",
    "dir/sub/f": "f",
  });
  t.is(code, 0, stderr);
  const list = "cd / && find wild dir parents linked both -type f | sort";
  t.deepEqual((await inImage(tag, list)).trim().split("\n"), [
    "both/f",
    "both/sub/f",
    "both/x",
    "both/y.no",
    "dir/sub/f",
    "dir/x",
    "linked/deep/a",
    "parents/dir/sub/f",
    "wild/a.txt",
    "wild/b.txt",
  ]);
});

test("ADD unpacks a local archive and keeps its owners; anything else is copied", async (t) => {
  const directory = context({
    Dockerfile: "FROM busybox:test\nADD r.tar /x/\nADD a /y/\n",
    a: "a",
  });
  t.teardown(() => rmSync(directory, { recursive: true }));
  const { rootTar } = image("busybox");
  writeFileSync(join(directory, "r.tar"), readFileSync(rootTar));
  const { code, stderr } = await dd.run(["build", "-t", "added", directory]);
  t.is(code, 0, stderr);
  t.is(await inImage("added", "cat /y/a; test -x /x/bin/busybox && echo ok"), "aok\n");
});

test("ADD unpacks each archive that a pattern names", async (t) => {
  const directory = context({ "one/a": "a", "two/b": "b" });
  for (const [archive, from] of [
    ["1.tar", "one"],
    ["2.tar", "two"],
  ] as const) {
    execFileSync("tar", ["cf", join(directory, archive), "-C", join(directory, from), "."]);
  }
  writeFileSync(join(directory, "Dockerfile"), "FROM scratch\nADD *.tar /d/\n");
  const out = join(directory, "out");
  try {
    const { code, stderr } = await dd.run(["build", "-o", out, directory]);
    t.is(code, 0, stderr);
    t.deepEqual(readdirSync(join(out, "d")).sort(), ["a", "b"]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("a step is told by its words with the variables it knows, and never with a secret", async (t) => {
  const directory = context({
    Dockerfile: [
      "FROM busybox:test",
      "ARG WHO=me",
      "run --mount=type=secret,id=s,env=KEY echo $WHO $KEY $OTHER",
    ].join("\n"),
    s: "hidden",
  });
  const words = ["build", "--progress", "plain", "--secret", `id=s,src=${join(directory, "s")}`];
  const { stderr } = await dd.run([...words, directory]);
  rmSync(directory, { recursive: true, force: true });
  t.true(stderr.includes("RUN --mount=type=secret,id=s,env=KEY echo me **** $OTHER"), stderr);
});

test("a proxy reaches steps in both cases, and a default that is not needed is not looked at", async (t) => {
  const Dockerfile = [
    "FROM busybox:test",
    "ARG NEEDED=${NONE:?missing}",
    "RUN echo $HTTP_PROXY $http_proxy $NEEDED > /seen",
  ].join("\n");
  const given = ["--build-arg", "http_proxy=p", "--build-arg", "NEEDED=given"];
  const { code, stderr, tag } = await build({ Dockerfile }, ...given);
  t.is(code, 0, stderr);
  t.is(await inImage(tag, "cat /seen"), "p p given\n");
  const without = await build({ Dockerfile });
  t.true(without.stderr.includes("NONE: missing"), without.stderr);
});

test("a directory that is copied to a new place is one of the usual kind there", async (t) => {
  const Dockerfile = [
    "FROM busybox:test AS from",
    "RUN mkdir -p /d/in && chown 7:8 /d /d/in && chmod 700 /d /d/in",
    "FROM busybox:test",
    "COPY --from=from /d /new",
  ].join("\n");
  const { code, stderr, tag } = await build({ Dockerfile });
  t.is(code, 0, stderr);
  t.is(await inImage(tag, "stat -c '%a %u:%g' /new /new/in"), "755 0:0\n700 7:8\n");
});

test("a named context is a base for stages, and is there in place of a stage", async (t) => {
  const other = context({ here: "from-context" });
  const Dockerfile = [
    "FROM scratch AS replaced",
    "COPY Dockerfile /here",
    "FROM files AS base",
    "FROM scratch",
    "COPY --from=base /here /based",
    "COPY --from=replaced /here /replaced",
  ].join("\n");
  const directory = context({ Dockerfile });
  const out = join(directory, "out");
  const named = ["--build-context", `files=${other}`, "--build-context", `replaced=${other}`];
  try {
    const { code, stderr } = await dd.run(["build", ...named, "-o", out, directory]);
    t.is(code, 0, stderr);
    for (const name of ["based", "replaced"]) {
      t.is(readFileSync(join(out, name), "utf8"), "from-context");
    }
  } finally {
    for (const each of [other, directory]) rmSync(each, { recursive: true, force: true });
  }
});

test("stages that are out of order are told from those in a circle", async (t) => {
  const later =
    "FROM scratch AS a\nCOPY --from=b / /\nFROM scratch AS b\nFROM a\nCOPY --from=b / /\n";
  const { stderr } = await build({ Dockerfile: later });
  t.regex(stderr, /cannot copy from stage "b", it needs to be defined before current stage "a"/);
  const circle = "FROM scratch AS a\nCOPY --from=b / /\nFROM a AS b\n";
  t.regex((await build({ Dockerfile: circle })).stderr, /circular dependency detected on stage: b/);
});

test("a stage has the ARGs of the stage that it stands on", async (t) => {
  const Dockerfile = [
    "FROM busybox:test AS base",
    "ARG BELOW=there",
    "FROM base",
    "RUN echo $BELOW > /seen",
  ].join("\n");
  const { code, stderr, tag } = await build({ Dockerfile });
  t.is(code, 0, stderr);
  t.is(await inImage(tag, "cat /seen; echo $BELOW"), "there\n\n");
});

test("what is built again from nothing but words is the same image, whenever", async (t) => {
  const made: string[] = [];
  for (let i = 0; i < 2; i++) {
    const { tag } = await build({ Dockerfile: "FROM scratch\nENV a=b\n" });
    made.push(JSON.parse((await dd.run(["image", "inspect", tag])).stdout)[0].Id);
  }
  t.is(made[0], made[1]);
});

test("a RUN in an empty image says what it cannot find", async (t) => {
  const { stderr } = await build({ Dockerfile: "FROM scratch\nRUN /nothing\n" });
  t.regex(stderr, /process "\/bin\/sh -c \/nothing" did not complete successfully: exit code: 127/);
});

test("the result can be files instead of an image", async (t) => {
  const out = mkdtempSync(join(tmpdir(), "dd-out-"));
  t.teardown(() => rmSync(out, { recursive: true }));
  const files = { Dockerfile: "FROM scratch\nCOPY d /e\n", "d/f": "f", "d/l ->": "f" };
  const { code, stderr } = await build(files, "-o", join(out, "files"));
  t.is(code, 0, stderr);
  t.deepEqual(readdirSync(join(out, "files/e")).sort(), ["f", "l"]);
  t.is(readFileSync(join(out, "files/e/l"), "utf8"), "f");
});

test("a Dockerfile may come without a context, and a context as an archive", async (t) => {
  const words = ["build", "-q", "-t", "piped", "-"];
  const { code, stdout, stderr } = await dd.run(words, {
    input: "FROM busybox:test\nRUN echo piped > /p\n",
  });
  t.is(code, 0, stderr);
  t.regex(stdout, /^sha256:[0-9a-f]{64}\n$/);
  t.is(await inImage("piped", "cat /p"), "piped\n");
});

test("triggers of ONBUILD are done by the build that stands on the image", async (t) => {
  const parent = await build({
    Dockerfile: "FROM busybox:test\nONBUILD COPY a /a\nONBUILD RUN cat /a > /b\n",
  });
  t.is(parent.code, 0, parent.stderr);
  const child = await build({ Dockerfile: `FROM ${parent.tag}\n`, a: "triggered" });
  t.is(child.code, 0, child.stderr);
  t.is(await inImage(child.tag, "cat /b"), "triggered");
});

test("steps can run as untrusted code", async (t) => {
  const files = { Dockerfile: "FROM busybox:test\nRUN echo safe > /s && chown 5:6 /s\n" };
  const { code, stderr, tag } = await build(files, "--untrusted");
  t.is(code, 0, stderr);
  t.is(await inImage(tag, "stat -c '%u:%g' /s"), "5:6\n");
});

test.serial("a build that fails leaves nothing behind but steps that were complete", async (t) => {
  const { code } = await build({ Dockerfile: "FROM busybox:test\nRUN echo x > /x\nRUN exit 3\n" });
  t.is(code, 1);
  t.deepEqual(readdirSync(join(dd.root, "build/work")), []);
  t.deepEqual(readdirSync(join(dd.root, "build/steps")), []);
});
