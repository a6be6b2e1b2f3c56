import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { ImageError } from "../../../sentry/image/errors.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { importRoot } from "../../../sentry/image/import-root.ts";
import { openImage } from "../../../sentry/image/merged-tree.ts";
import { pull } from "../../../sentry/image/pull.ts";
import { blobPath, fakeImage, startFake } from "./fake-registry.ts";
import { pieces, scratch, tar } from "./tar-fixture.ts";

const CHILD = fileURLToPath(new URL("./store-child.js", import.meta.url));

test("kill -9 in the middle of an import leaves garbage that the next run removes", async (t) => {
  const root = scratch(t);
  const child = spawn(process.execPath, [CHILD, root, "50000000", "20"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  for (let seen = 0; seen < 5; ) seen += String(await once(child.stdout, "data")).length;
  const staging = join(root, "images", "staging");
  t.is(readdirSync(staging).length, 1);
  child.kill("SIGKILL");
  await once(child, "exit");
  const store = new ImageStore(root);
  t.deepEqual(await store.list(), []);
  await importRoot(store, pieces(tar([{ name: "g" }])), { reference: "next" });
  t.deepEqual(readdirSync(staging), []);
  t.is((await store.list()).length, 1);
});

test("what another process is just making is not taken for garbage", async (t) => {
  const root = scratch(t);
  const child = spawn(process.execPath, [CHILD, root, "2000000", "20"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  const closed = once(child, "close");
  let output = String(await once(child.stdout, "data"));
  child.stdout.on("data", (bytes) => {
    output += String(bytes);
  });
  const store = new ImageStore(root);
  await importRoot(store, pieces(tar([{ name: "g" }])), { reference: "other" });
  await store.remove("other");
  await closed;
  t.true(output.endsWith("ok\n"), output);
  t.deepEqual((await store.get("child")).tags, ["child:latest"]);
});

test("a full disk is an error that says so, and nothing half-written stays", async (t) => {
  const root = scratch(t);
  // A small disk of its own: a tmpfs in a private mount namespace.
  const script =
    'mount -t tmpfs -o size=3m none "$1" && "$2" "$3" "$1" 8000000; ' +
    'ls "$1/images/staging" "$1/images/layers-2" "$1/images/configs"; ' +
    '"$2" "$3" "$1" 100000';
  const child = spawn(
    "unshare",
    [
      "--user",
      "--map-root-user",
      "--mount",
      "sh",
      "-c",
      script,
      "sh",
      root,
      process.execPath,
      CHILD,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let output = "";
  child.stdout.on("data", (bytes) => {
    output += String(bytes);
  });
  await once(child, "close");
  const [first, ...rest] = output
    .replace(/^\.+|(?<=\n)\.+/g, "")
    .trim()
    .split("\n");
  t.is(first, "STORE_FULL");
  t.deepEqual(
    rest.filter((line) => line !== "" && !line.endsWith(":")),
    ["ok"],
  );
});

test("a layer that is being pulled by a process that dies is pulled by the one that waits", async (t) => {
  const image = fakeImage([tar([{ name: "f", content: "x" }])]);
  const [layer = Buffer.alloc(0)] = image.layers;
  const registry = await startFake(t, image);
  let first = true;
  registry.routes.set(blobPath(layer), (_, response) => {
    // The first to ask gets half of it, and then nothing.
    response.writeHead(200, { "content-length": layer.length });
    if (!first) response.end(layer);
    else response.write(layer.subarray(0, 20));
    first = false;
  });
  const root = scratch(t);
  const stop = new AbortController();
  const dying = pull(new ImageStore(root), registry.name, { signal: stop.signal });
  const failed = t.throwsAsync(dying);
  while (first) await new Promise((resolve) => setTimeout(resolve, 10));
  const waiting = pull(new ImageStore(root), registry.name);
  await new Promise((resolve) => setTimeout(resolve, 200));
  stop.abort();
  await failed;
  t.is((await waiting).image.layerDirectories.length, 1);
});

test("pulls, good and bad, leave no descriptor open", async (t) => {
  const image = fakeImage([tar([{ name: "f", content: "x" }])]);
  const registry = await startFake(t, image);
  const root = scratch(t);
  const store = new ImageStore(root);
  await pull(store, registry.name);
  for (let i = 0; i < 10; i++) {
    await store.remove(registry.name);
    await pull(store, registry.name);
    await t.throwsAsync(pull(store, `${registry.name}:none`));
    await t.throwsAsync(importRoot(store, pieces(Buffer.alloc(2000, "x"))));
  }
  const open = readdirSync("/proc/self/fd")
    .map((fd) => join("/proc/self/fd", fd))
    .filter((link) => existsSync(link) && readlinkSync(link).startsWith(root));
  t.deepEqual(open, []);
});

test("a layer that is damaged on disk is an error of the store, not a crash", async (t) => {
  const store = new ImageStore(scratch(t));
  const image = await importRoot(store, pieces(tar([{ name: "f" }])), { reference: "a" });
  const [directory = ""] = image.layerDirectories;
  const index = join(directory, "index");
  const whole = readFileSync(index);
  const version = Buffer.from(whole);
  version.write("DDLX", 4);
  for (const damaged of [Buffer.alloc(0), whole.subarray(0, 64), whole.subarray(0, -16), version]) {
    writeFileSync(index, damaged);
    const error = t.throws(() => openImage([directory]), { instanceOf: ImageError });
    t.is(error?.code, "STORE_IO");
  }
  writeFileSync(index, whole);
  openImage([directory]).close();
  rmSync(directory, { recursive: true });
  const error = await t.throwsAsync(store.get("a"), { instanceOf: ImageError });
  t.is(error.code, "IMAGE_NOT_FOUND");
  t.deepEqual((await store.remove("a")).records[0], { untagged: "a:latest" });
});
