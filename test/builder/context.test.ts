/** What contexts of strangers, and what ADD fetches, can do to a build: nothing. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { LocalDirectory } from "../../builder/context/local-directory.ts";
import { StepCache } from "../../builder/solve/step-cache.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import type { TarEntry, TarEntryType } from "../../sentry/image/tar-reader.ts";
import { type TarMember, writeTar } from "../../sentry/image/tar-writer.ts";
import { type Dd, openDd } from "../fixtures/dd.ts";
import { image } from "../fixtures/images.ts";

let dd: Dd;
test.before(async () => {
  dd = openDd();
  await dd.load(image("busybox"));
});
test.after.always(() => dd.close());

function member(path: string, content: string, more: Partial<TarEntry> = {}): TarMember {
  const type: TarEntryType = more.type ?? "file";
  const bytes = Buffer.from(content);
  const entry: TarEntry = {
    path,
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: type === "file" ? bytes.length : 0,
    mtime: 0n,
    link: "",
    major: 0,
    minor: 0,
    xattrs: new Map(),
    ...more,
    type,
  };
  return type === "file" && bytes.length > 0 ? { entry, content: [bytes] } : { entry };
}

async function buildArchive(members: readonly TarMember[], ...options: string[]) {
  const chunks: Uint8Array[] = [];
  for await (const bytes of writeTar(members)) chunks.push(bytes);
  const words = ["build", "--progress", "plain", ...options, "-"];
  return dd.run(words, { input: Buffer.concat(chunks) });
}

const HOSTILE: readonly (readonly [what: string, members: readonly TarMember[], words: RegExp])[] =
  [
    [
      "a name that leads out of the context",
      [member("Dockerfile", "FROM busybox:test\n"), member("../../evil", "x")],
      /\.\.\/\.\.\/evil/,
    ],
    [
      "a Dockerfile that is a link out of the context",
      [member("Dockerfile", "", { type: "symlink", link: "/etc/passwd" })],
      /Cannot locate specified Dockerfile: Dockerfile/,
    ],
    [
      "a copy through a link out of the context",
      [
        member("Dockerfile", "FROM busybox:test\nCOPY etc/passwd /p\n"),
        member("etc", "", { type: "symlink", link: "/etc" }),
      ],
      /not found/,
    ],
    [
      "links that go round in circles",
      [
        member("Dockerfile", "FROM busybox:test\nCOPY a /p\n"),
        member("a", "", { type: "symlink", link: "b" }),
        member("b", "", { type: "symlink", link: "a" }),
      ],
      /not found/,
    ],
  ];
for (const [what, members, words] of HOSTILE) {
  test(`an archive with ${what} is refused`, async (t) => {
    const { code, stderr } = await buildArchive(members);
    t.is(code, 1, stderr);
    t.regex(stderr, words);
  });
}

test("ADD fetches a URL, and only what its checksum says", async (t) => {
  const content = "from the web";
  const server = createServer((_, response) => response.end(content));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/dir/file.txt`;
  const digest = createHash("sha256").update(content).digest("hex");
  const build = (flags: string, tag: string) =>
    buildArchive([member("Dockerfile", `FROM busybox:test\nADD ${flags} ${url} /x/\n`)], "-t", tag);
  const good = await build(`--checksum=sha256:${digest}`, "fetched");
  t.is(good.code, 0, good.stderr);
  const shown = await dd.run([
    "run",
    "--rm",
    "fetched",
    "sh",
    "-c",
    "cat /x/file.txt; stat -c %a /x/file.txt",
  ]);
  t.is(shown.stdout, `${content}600\n`);
  const bad = await build(`--checksum=sha256:${"0".repeat(64)}`, "refused");
  t.is(bad.code, 1);
  t.regex(bad.stderr, /digest mismatch sha256:/);
});

test("pruning forgets the steps that no image has, and frees their layers", async (t) => {
  const own = openDd();
  t.teardown(() => own.close());
  await own.load(image("busybox"));
  const built = await own.run(["build", "-"], {
    input: "FROM busybox:test\nRUN echo one > /one\n",
  });
  t.is(built.code, 0, built.stderr);
  const store = new ImageStore(own.root);
  const cache = new StepCache(store);
  const [record, ...others] = await cache.list();
  t.deepEqual(others, []);
  t.true(record?.shared);
  t.deepEqual(await cache.prune({ all: false }), [], "an image has its layer");
  for (const { id, tags } of await store.list()) {
    if (tags.length === 0) await store.remove(id, { force: true });
  }
  const layers = () => readdirSync(join(own.root, "images/layers-2")).length;
  t.is(layers(), 2, "the record keeps it");
  t.is((await cache.prune({ all: false })).length, 1);
  t.is(layers(), 1);
});

test("a repository is a context: at a reference, from a directory, with what it is made of", async (t) => {
  const place = mkdtempSync(join(tmpdir(), "dd-repository-"));
  const repository = join(place, "r.git");
  const git = (...words: readonly string[]) =>
    execFileSync("git", ["-c", "user.name=n", "-c", "user.email=e", "-C", repository, ...words]);
  mkdirSync(join(repository, "sub"), { recursive: true });
  writeFileSync(join(repository, "sub/Dockerfile"), "FROM scratch\nCOPY . /\n");
  writeFileSync(join(repository, "sub/f"), "one");
  git("init", "-q", "-b", "main", ".");
  git("add", ".");
  git("commit", "-q", "-m", "one");
  git("tag", "v1");
  writeFileSync(join(repository, "sub/f"), "two");
  git("commit", "-q", "-a", "-m", "two");
  git("update-server-info");
  // A server of plain files, as git can ask as well.
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://x").pathname.replace("/r.git", "/r.git/.git");
    try {
      response.end(readFileSync(join(place, path)));
    } catch {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/r.git`;
  try {
    for (const [what, content] of [
      ["#main:sub", "two"],
      ["#v1:sub", "one"],
      ["?tag=v1&subdir=sub", "one"],
    ] as const) {
      const out = join(place, content + what.length);
      const { code, stderr } = await dd.run(["build", "-o", out, url + what]);
      t.is(code, 0, stderr);
      t.is(readFileSync(join(out, "f"), "utf8"), content);
    }
    const refused = await dd.run(["build", `${url}?ref=a#b`]);
    t.regex(refused.stderr, /ref conflicts: b and a/);
  } finally {
    server.close();
    rmSync(place, { recursive: true, force: true });
  }
});

test("an archive may stop after the bytes of its last file, and not before", async (t) => {
  const content = "some bytes";
  const chunks: Uint8Array[] = [];
  for await (const bytes of writeTar([member("f", content)])) chunks.push(bytes);
  const whole = Buffer.concat(chunks);
  const place = mkdtempSync(join(tmpdir(), "dd-archive-"));
  writeFileSync(join(place, "Dockerfile"), "FROM scratch\nADD a.tar /d/\n");
  try {
    for (const [length, code] of [
      [512 + content.length, 0],
      [512 + content.length - 1, 1],
    ] as const) {
      writeFileSync(join(place, "a.tar"), whole.subarray(0, length));
      const out = join(place, `out-${length}`);
      const { code: found, stderr } = await dd.run(["build", "-o", out, place]);
      t.is(found, code, stderr);
      if (code === 0) t.is(readFileSync(join(out, "d/f"), "utf8"), content);
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});

test("a context that has gone says so", async (t) => {
  const source = new LocalDirectory("/nonexistent/context", []);
  const signal = new AbortController().signal;
  await t.throwsAsync(source.load(join(dd.root, "never"), undefined, undefined, signal), {
    message: /\/nonexistent\/context/,
  });
});
