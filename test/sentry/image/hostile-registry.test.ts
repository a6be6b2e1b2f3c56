import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { ImageError, type ImageErrorCode } from "../../../sentry/image/errors.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { type Pulled, type PullOptions, pull } from "../../../sentry/image/pull.ts";
import {
  blobPath,
  describe,
  type FakeImage,
  type FakeRegistry,
  fakeImage,
  type Handler,
  INDEX,
  MANIFEST,
  MANIFEST_PATH,
  send,
  sendJson,
  startFake,
} from "./fake-registry.ts";
import { scratch, tar } from "./tar-fixture.ts";

// Content that does not compress, so that a layer has many packets.
const ARCHIVES = [
  tar([{ name: "f", content: randomBytes(400_000) }]),
  tar([{ name: "g", content: "g" }]),
];
const IMAGE = fakeImage(ARCHIVES);
const [LAYER = Buffer.alloc(0)] = IMAGE.layers;
/** How long a registry may be silent whose silence is the subject. */
const STALL_MS = 300;

/** Pulls from `registry`, which must fail; checks that nothing stays. */
async function refused(
  t: ExecutionContext,
  registry: FakeRegistry,
  options: PullOptions = {},
): Promise<ImageError> {
  const root = scratch(t);
  const store = new ImageStore(root);
  const pulling = pull(store, registry.name, options);
  const error = await t.throwsAsync(pulling, { instanceOf: ImageError });
  t.deepEqual(await store.list(), []);
  const staged = readdirSync(join(root, "images", "staging"));
  t.deepEqual(
    staged.filter((name) => !name.endsWith(".lock")),
    [],
  );
  return error;
}

function accepted(t: ExecutionContext, registry: FakeRegistry): Promise<Pulled> {
  return pull(new ImageStore(scratch(t)), registry.name);
}

/** The image with another manifest. */
function manifest(change: Readonly<Record<string, unknown>>): FakeImage {
  return { ...IMAGE, manifest: { ...IMAGE.manifest, ...change } };
}

function layers(change: Readonly<Record<string, unknown>>): FakeImage {
  const original = IMAGE.manifest["layers"] as readonly object[];
  return manifest({ layers: original.map((layer) => ({ ...layer, ...change })) });
}

const LIES: readonly (readonly [string, ImageErrorCode, FakeImage])[] = [
  ["an image that is also an index", "MANIFEST_INVALID", manifest({ manifests: [] })],
  [
    "an index that is sent as a manifest",
    "MANIFEST_INVALID",
    { ...IMAGE, manifest: { schemaVersion: 2, manifests: [] } },
  ],
  ["a manifest that calls itself an index", "MANIFEST_INVALID", manifest({ mediaType: INDEX })],
  [
    "a manifest that calls itself something else",
    "MANIFEST_INVALID",
    manifest({ mediaType: "text/plain" }),
  ],
  [
    "a manifest sent as another type of manifest",
    "MANIFEST_INVALID",
    manifest({ mediaType: "application/vnd.docker.distribution.manifest.v2+json" }),
  ],
  ["a manifest of schema 1", "MANIFEST_INVALID", manifest({ schemaVersion: 1 })],
  [
    "a chart instead of an image",
    "MANIFEST_INVALID",
    manifest({ config: describe("application/vnd.cncf.helm.config.v1+json", IMAGE.config) }),
  ],
  ["layers that are no list", "MANIFEST_INVALID", manifest({ layers: {} })],
  [
    "more layers than any image has",
    "MANIFEST_INVALID",
    manifest({ layers: Array.from({ length: 129 }, () => ({})) }),
  ],
  ["a layer of an unknown type", "MANIFEST_INVALID", layers({ mediaType: "application/x-tar" })],
  [
    "a layer whose digest is a path",
    "DIGEST_INVALID",
    layers({ digest: "sha256:../../../../etc/passwd" }),
  ],
  [
    "a layer whose digest is in capitals",
    "DIGEST_INVALID",
    layers({ digest: `sha256:${"A".repeat(64)}` }),
  ],
  ["a layer of negative size", "MANIFEST_INVALID", layers({ size: -1 })],
  ["a layer of half a byte", "MANIFEST_INVALID", layers({ size: 0.5 })],
  ["a layer of 2^60 bytes", "MANIFEST_INVALID", layers({ size: 2 ** 60 })],
  ["fewer layers than the config says", "CONFIG_INVALID", manifest({ layers: [] })],
  ["layers that are smaller than promised", "SIZE_MISMATCH", layers({ size: 1_000_000 })],
  ["layers that are larger than promised", "SIZE_MISMATCH", layers({ size: 17 })],
  ["layers that are missing", "REGISTRY_NOT_FOUND", layers({ digest: `sha256:${"0".repeat(64)}` })],
  ["nesting without end", "MANIFEST_INVALID", manifest({ annotations: nested(100) })],
];

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

for (const [what, code, image] of LIES) {
  test(`a registry that offers ${what} is refused with ${code}`, async (t) => {
    t.is((await refused(t, await startFake(t, image))).code, code);
  });
}

const ANSWERS: readonly (readonly [string, ImageErrorCode, string, Handler])[] = [
  [
    "a manifest of five megabytes",
    "REGISTRY_PROTOCOL",
    MANIFEST_PATH,
    send(Buffer.alloc(5e6), MANIFEST),
  ],
  [
    "a manifest that is no JSON",
    "MANIFEST_INVALID",
    MANIFEST_PATH,
    send(Buffer.from("<html>"), MANIFEST),
  ],
  [
    "a manifest with another digest than it says",
    "DIGEST_MISMATCH",
    MANIFEST_PATH,
    (_, response) => {
      response.setHeader("docker-content-digest", `sha256:${"0".repeat(64)}`);
      response.end("{}");
    },
  ],
  ["another config", "SIZE_MISMATCH", blobPath(IMAGE.config), send(Buffer.from("{}"))],
  [
    "another config of the same size",
    "DIGEST_MISMATCH",
    blobPath(IMAGE.config),
    send(Buffer.alloc(IMAGE.config.length, " ")),
  ],
  ["another layer of the same size", "DIGEST_MISMATCH", blobPath(LAYER), send(sameSize())],
  [
    "a corrupt layer",
    "LAYER_CORRUPT",
    blobPath(LAYER),
    send(Buffer.concat([LAYER.subarray(0, 5000), randomBytes(LAYER.length - 5000)])),
  ],
  [
    "an error of its own",
    "REGISTRY_UNREACHABLE",
    blobPath(LAYER),
    (_, response) => void response.writeHead(500).end(),
  ],
  [
    "a status that makes no sense",
    "REGISTRY_PROTOCOL",
    blobPath(LAYER),
    (_, response) => void response.writeHead(204).end(),
  ],
  [
    "what is not HTTP",
    "REGISTRY_PROTOCOL",
    blobPath(LAYER),
    (request) => void request.socket.end("SSH-2.0-x\r\n\r\n"),
  ],
  [
    "a redirect to itself",
    "REGISTRY_PROTOCOL",
    blobPath(LAYER),
    (request, response) => void response.writeHead(302, { location: request.url }).end(),
  ],
  [
    "a redirect to nowhere",
    "REGISTRY_PROTOCOL",
    blobPath(LAYER),
    (_, response) => void response.writeHead(302, { location: "http://[" }).end(),
  ],
  [
    "a redirect to a file",
    "REGISTRY_INSECURE",
    blobPath(LAYER),
    (_, response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end(),
  ],
  [
    "a redirect to plain http elsewhere",
    "REGISTRY_INSECURE",
    blobPath(LAYER),
    (_, response) => void response.writeHead(302, { location: "http://192.0.2.1/x" }).end(),
  ],
  ["nothing at all", "REGISTRY_STALLED", MANIFEST_PATH, () => undefined],
  [
    "headers and then nothing",
    "REGISTRY_STALLED",
    MANIFEST_PATH,
    (_, response) => void response.writeHead(200).flushHeaders(),
  ],
  [
    "a byte now and then",
    "REGISTRY_STALLED",
    MANIFEST_PATH,
    (_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(timer));
    },
  ],
  [
    "a wish for a log in of an unknown kind",
    "REGISTRY_PROTOCOL",
    MANIFEST_PATH,
    challenge('Digest realm="x"'),
  ],
  ["a wish for a log in without a kind", "REGISTRY_PROTOCOL", MANIFEST_PATH, challenge(undefined)],
  [
    "a token server that is somebody else's",
    "REGISTRY_DENIED",
    MANIFEST_PATH,
    challenge('Bearer realm="https://tokens.example/t"'),
  ],
  [
    "a token server without TLS",
    "REGISTRY_INSECURE",
    MANIFEST_PATH,
    challenge('Bearer realm="http://169.254.169.254/t"'),
  ],
  [
    "a token server that is no address",
    "REGISTRY_PROTOCOL",
    MANIFEST_PATH,
    challenge('Bearer realm="latest"'),
  ],
];

/** A layer that can be read but is another, of exactly the size of the real one. */
function sameSize(): Buffer {
  // A comment in the header of a gzip member takes up what is missing.
  const gz = gzipSync(tar([{ name: "f", content: randomBytes(300_000) }]));
  const header = Buffer.from(gz.subarray(0, 10));
  header[3] = 0x10;
  const comment = Buffer.alloc(LAYER.length - gz.length, "x");
  comment[comment.length - 1] = 0;
  return Buffer.concat([header, comment, gz.subarray(10)]);
}

function challenge(value: string | undefined): Handler {
  return (_, response) => {
    if (value !== undefined) response.setHeader("www-authenticate", value);
    response.writeHead(401).end();
  };
}

for (const [what, code, path, handler] of ANSWERS) {
  test(`a registry that answers with ${what} is refused with ${code}`, async (t) => {
    const registry = await startFake(t, IMAGE);
    registry.routes.set(path, handler);
    const options = code === "REGISTRY_STALLED" ? { stallMs: STALL_MS } : {};
    t.is((await refused(t, registry, options)).code, code);
  });
}

test("a layer that is not the config's is refused, though the manifest promises it", async (t) => {
  const other = fakeImage([tar([{ name: "evil" }]), tar([{ name: "g", content: "g" }])]);
  const image = {
    ...IMAGE,
    layers: other.layers,
    manifest: { ...other.manifest, config: IMAGE.manifest["config"] },
  };
  t.is((await refused(t, await startFake(t, image))).code, "DIFF_ID_MISMATCH");
});

test("a transfer that breaks is taken up where it broke", async (t) => {
  const registry = await startFake(t, IMAGE);
  registry.routes.set(blobPath(LAYER), (request, response) => {
    const start = Number(/\d+/.exec(request.headers.range ?? "")?.[0] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, {
      "content-range": `bytes ${start}-${LAYER.length - 1}/${LAYER.length}`,
      "content-length": LAYER.length - start,
    });
    const part = LAYER.subarray(start, start + 150_000);
    response.write(part, () => {
      if (start + part.length < LAYER.length) setTimeout(() => request.socket.destroy(), 20);
    });
  });
  const { image } = await accepted(t, registry);
  t.is(image.layerDirectories.length, 2);
  const starts = registry.requests
    .filter((request) => request.startsWith(blobPath(LAYER)))
    .map((request) => Number(/bytes=(\d+)/.exec(request)?.[1] ?? 0));
  t.true(starts.length >= 3);
  t.deepEqual(
    starts,
    starts.toSorted((a, b) => a - b),
  );
});

test("a registry that cannot send parts may send all again", async (t) => {
  const registry = await startFake(t, IMAGE);
  let times = 0;
  registry.routes.set(blobPath(LAYER), (request, response) => {
    response.writeHead(200, { "content-length": LAYER.length });
    if (++times > 1) response.end(LAYER);
    else
      response.write(LAYER.subarray(0, 200_000), () =>
        setTimeout(() => request.socket.destroy(), 20),
      );
  });
  t.is((await accepted(t, registry)).image.layerDirectories.length, 2);
  t.is(times, 2);
});

test("a registry that sends another part than was asked for is refused", async (t) => {
  const registry = await startFake(t, IMAGE);
  registry.routes.set(blobPath(LAYER), (request, response) => {
    const asked = request.headers.range !== undefined;
    const headers = asked ? { "content-range": `bytes 0-1/${LAYER.length}` } : {};
    response.writeHead(asked ? 206 : 200, { ...headers, "content-length": LAYER.length });
    response.write(LAYER.subarray(0, 200_000), () =>
      setTimeout(() => request.socket.destroy(), 20),
    );
  });
  t.is((await refused(t, registry)).code, "REGISTRY_PROTOCOL");
});

test("a registry that is busy for a moment is asked again", async (t) => {
  const registry = await startFake(t, IMAGE);
  let times = 0;
  registry.routes.set(MANIFEST_PATH, (request, response) => {
    if (++times < 3) response.writeHead(times === 1 ? 503 : 429).end();
    else sendJson(IMAGE.manifest)(request, response);
  });
  await accepted(t, registry);
  t.is(times, 3);
});

test("credentials go to the registry, and not along with a redirect to another host", async (t) => {
  const registry = await startFake(t, IMAGE);
  const storage = await startFake(t, IMAGE);
  const seen: (string | undefined)[] = [];
  for (const blob of [IMAGE.config, ...IMAGE.layers]) {
    registry.routes.set(blobPath(blob), (_, response) => {
      response.writeHead(307, { location: `${storage.origin}${blobPath(blob)}` }).end();
    });
    storage.routes.set(blobPath(blob), (request, response) => {
      seen.push(request.headers.authorization);
      send(blob)(request, response);
    });
  }
  registry.routes.set(MANIFEST_PATH, (request, response) => {
    if (request.headers.authorization === undefined) {
      challenge('Basic realm="r"')(request, response);
    } else {
      t.is(request.headers.authorization, "Basic bWU6c2VjcmV0");
      sendJson(IMAGE.manifest)(request, response);
    }
  });
  await pull(new ImageStore(scratch(t)), registry.name, {
    credentials: { username: "me", password: "secret" },
  });
  t.deepEqual(seen, [undefined, undefined, undefined]);
});

test("the addresses that a foreign layer names are not asked", async (t) => {
  const trap = await startFake(t);
  const foreign = {
    mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    urls: [`${trap.origin}/layer`],
  };
  await accepted(t, await startFake(t, layers(foreign)));
  t.deepEqual(trap.requests, []);
});

test("an index leads to one image, and to no other index", async (t) => {
  const inner = Buffer.from(JSON.stringify(IMAGE.manifest));
  const platform = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };
  const entry = { ...describe(MANIFEST, inner), platform };
  const unknown = { ...entry, platform: { os: "unknown", architecture: "unknown" } };
  const registry = await startFake(t, IMAGE);
  const path = `/v2/app/manifests/${entry.digest}`;
  registry.routes.set(path, send(inner, MANIFEST));
  const index = (manifests: readonly object[]): Handler =>
    sendJson({ schemaVersion: 2, mediaType: INDEX, manifests }, INDEX);

  registry.routes.set(MANIFEST_PATH, index([unknown, entry]));
  t.is((await accepted(t, registry)).image.layerDirectories.length, 2);

  const cases: readonly (readonly [ImageErrorCode, readonly object[]])[] = [
    ["PLATFORM_UNAVAILABLE", [unknown]],
    ["PLATFORM_UNAVAILABLE", [{ ...entry, mediaType: INDEX }]],
    ["SIZE_MISMATCH", [{ ...entry, size: entry.size - 1 }]],
    ["MANIFEST_INVALID", [{ ...entry, size: 2 ** 40 }]],
    ["MANIFEST_INVALID", Array.from({ length: 1025 }, () => entry)],
  ];
  for (const [code, manifests] of cases) {
    registry.routes.set(MANIFEST_PATH, index(manifests));
    t.is((await refused(t, registry)).code, code);
  }
  registry.routes.set(MANIFEST_PATH, index([entry]));
  registry.routes.set(path, send(Buffer.alloc(inner.length, " "), MANIFEST));
  t.is((await refused(t, registry)).code, "DIGEST_MISMATCH");
});

test("a pull can be cancelled, before and in the middle of a layer", async (t) => {
  const registry = await startFake(t, IMAGE);
  t.is((await refused(t, registry, { signal: AbortSignal.abort() })).code, "ABORTED");
  const controller = new AbortController();
  registry.routes.set(blobPath(LAYER), (_, response) => {
    response.write(LAYER.subarray(0, 100_000), () => setTimeout(() => controller.abort(), 20));
  });
  const { signal } = controller;
  t.is((await refused(t, registry, { signal })).code, "ABORTED");
});

test("a registry that is not there is unreachable", async (t) => {
  const registry = await startFake(t);
  const name = "127.0.0.1:1/app";
  t.is((await refused(t, { ...registry, name })).code, "REGISTRY_UNREACHABLE");
});
