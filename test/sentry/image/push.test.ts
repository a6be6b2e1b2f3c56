import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { type Digest, digestOf } from "../../../sentry/image/digest.ts";
import { ImageError, type ImageErrorCode } from "../../../sentry/image/errors.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { importRoot } from "../../../sentry/image/import-root.ts";
import { pull } from "../../../sentry/image/pull.ts";
import { type PushEvent, type PushOptions, push } from "../../../sentry/image/push.ts";
import { type FakeRegistry, type Handler, startFake } from "./fake-registry.ts";
import {
  makeLayout,
  push as skopeoPush,
  startPrivateRegistry,
  startRegistry,
  tool,
} from "./registry-fixture.ts";
import { pieces, scratch, tar } from "./tar-fixture.ts";

const BASE = tar([
  { name: "etc/hostname", content: "base\n" },
  { name: "big", content: Buffer.alloc(300_000, "big") },
]);
const TOP = tar([{ name: "top", content: "y" }]);

/** Pushes, and says in short what happened. */
async function pushed(
  store: ImageStore,
  name: string,
  options: PushOptions = {},
): Promise<{ events: string[]; digest: Digest | undefined }> {
  const events: PushEvent[] = [];
  await push(store, name, { ...options, onProgress: (event) => events.push(event) });
  const done = events.find((event) => event.type === "done");
  return {
    events: events
      .map((event) => (event.type === "mounted" ? `mounted from ${event.from}` : event.type))
      .filter((type) => type !== "pushing"),
    digest: done?.digest,
  };
}

/** The image as skopeo copies it out of the registry: its manifest and its unpacked layers. */
function copyOut(t: ExecutionContext, name: string, ...flags: readonly string[]) {
  const directory = join(scratch(t), "copy");
  const insecure = ["--insecure-policy", "copy", "--src-tls-verify=false"];
  tool("skopeo", ...insecure, ...flags, `docker://${name}`, `dir:${directory}`);
  const bytes = readFileSync(join(directory, "manifest.json"));
  const manifest: {
    readonly mediaType: string;
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string }[];
  } = JSON.parse(bytes.toString());
  const layers = manifest.layers.map(({ digest }) => {
    const layer = readFileSync(join(directory, digest.replace("sha256:", "")));
    return `sha256:${createHash("sha256").update(gunzipSync(layer)).digest("hex")}`;
  });
  return { digest: digestOf(bytes), manifest, layers };
}

test("an image that was pulled is pushed with the same manifest, and nothing is sent twice", async (t) => {
  const registry = await startRegistry(t);
  const layout = makeLayout(t, { tag: "latest", layers: [BASE, TOP] });
  skopeoPush(`oci:${layout}:latest`, `docker://${registry}/team/app:1`);
  const store = new ImageStore(scratch(t));
  const { image, digest } = await pull(store, `${registry}/team/app:1`);
  await store.tag(image.id, `${registry}/team/app:2`);
  await store.tag(image.id, `${registry}/other/copy:1`);
  const same = await pushed(store, `${registry}/team/app:2`);
  t.deepEqual(same, { events: ["image", "exists", "exists", "done"], digest });
  const mounted = await pushed(store, `${registry}/other/copy:1`);
  const from = "mounted from team/app";
  t.deepEqual(mounted, { events: ["image", from, from, "done"], digest });
  const out = copyOut(t, `${registry}/other/copy:1`);
  t.is(out.digest, digest);
  t.deepEqual(out.layers, image.config.diffIds);
  t.true((await store.get(image.id)).digests.includes(`${registry}/other/copy@${digest}`));
});

test("an image pushed to another registry has other blobs of the same archives", async (t) => {
  const [registry, other] = await Promise.all([startRegistry(t), startRegistry(t)]);
  const layout = makeLayout(t, { tag: "latest", layers: [BASE, TOP] });
  skopeoPush(`oci:${layout}:latest`, `docker://${registry}/app`);
  const store = new ImageStore(scratch(t));
  const { image } = await pull(store, `${registry}/app`);
  await store.tag(image.id, `${other}/app`);
  const first = await pushed(store, `${other}/app`);
  t.deepEqual(first.events, ["image", "pushed", "pushed", "done"]);
  const out = copyOut(t, `${other}/app`);
  t.deepEqual([out.digest], [first.digest]);
  t.is(out.manifest.config.digest, image.id);
  t.deepEqual(out.layers, image.config.diffIds);
  // What was sent once is known by its digest the next time, without being compressed again.
  const second = await pushed(store, `${other}/app`);
  t.deepEqual(second, { events: ["image", "exists", "exists", "done"], digest: first.digest });
  const elsewhere = await pull(new ImageStore(scratch(t)), `${other}/app`);
  t.is(elsewhere.image.id, image.id);
});

test("an image made here is pushed as docker does, with all its tags, to a registry that wants a login", async (t) => {
  const registry = await startPrivateRegistry(t);
  const store = new ImageStore(scratch(t));
  const { id } = await importRoot(store, pieces(BASE), { reference: `${registry}/mine:1` });
  await store.tag(id, `${registry}/mine:2`);
  await store.tag(id, `${registry}/not-mine`);
  const anonymous = await t.throwsAsync(
    push(store, `${registry}/mine:1`, { credentials: undefined }),
    {
      code: "REGISTRY_DENIED",
    },
  );
  t.regex(anonymous.message, /no basic auth credentials/);
  const wrong = { username: "me", password: "no" };
  await t.throwsAsync(push(store, `${registry}/mine:1`, { credentials: wrong }), {
    code: "REGISTRY_DENIED",
    message: /unauthorized: authentication required/,
  });
  const credentials = { username: "me", password: "pass:word" };
  const { events } = await pushed(store, `${registry}/mine`, { credentials, allTags: true });
  t.deepEqual(events, ["image", "pushed", "done", "image", "exists", "done"]);
  const login = ["--src-creds", "me:pass:word"];
  const out = copyOut(t, `${registry}/mine:2`, ...login);
  t.is(out.manifest.mediaType, "application/vnd.docker.distribution.manifest.v2+json");
  t.is(out.manifest.config.digest, id);
  t.throws(() => copyOut(t, `${registry}/not-mine`, ...login));
});

test("a token server is asked for leave to push, and to mount from where the layer is", async (t) => {
  const registry = await startRegistry(t);
  const asked: string[][] = [];
  const tokens = createServer((request, response) => {
    const scopes = new URL(request.url ?? "", "http://x").searchParams.getAll("scope");
    asked.push(scopes);
    response.end(JSON.stringify({ token: Buffer.from(scopes.join(" ")).toString("base64url") }));
  });
  const realm = `http://${await listening(t, tokens)}/token`;
  // A registry that lets through who has a token for what it is about.
  const front = createServer((request, response) => {
    const { authorization = "", ...headers } = request.headers;
    const granted = Buffer.from(authorization.replace("Bearer ", ""), "base64url").toString();
    const [, repository = ""] = /^\/v2\/(.+)\/(?:blobs|manifests)\//.exec(request.url ?? "") ?? [];
    const action = request.method === "GET" || request.method === "HEAD" ? "pull" : "pull,push";
    if (!granted.includes(`repository:${repository}:pull`) || !granted.includes(action)) {
      response.setHeader("www-authenticate", `Bearer realm="${realm}",service="s"`);
      response.writeHead(401).end();
      request.resume();
      return;
    }
    const [host, port] = registry.split(":");
    const { method, url: path } = request;
    const sent = httpRequest({ host, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    sent.on("error", () => response.destroy());
    request.pipe(sent);
  });
  const host = await listening(t, front);
  const store = new ImageStore(scratch(t));
  const { id } = await importRoot(store, pieces(BASE), { reference: `${host}/one:1` });
  const credentials = { username: "u", password: "p" };
  const first = await pushed(store, `${host}/one:1`, { credentials });
  t.deepEqual(first.events, ["image", "pushed", "done"]);
  t.deepEqual(asked, [["repository:one:pull,push"]]);
  await store.tag(id, `${host}/two:1`);
  asked.length = 0;
  const second = await pushed(store, `${host}/two:1`, { credentials });
  t.deepEqual(second.events, ["image", "mounted from one", "done"]);
  t.deepEqual(asked, [
    ["repository:two:pull,push"],
    ["repository:two:pull,push", "repository:one:pull"],
  ]);
  t.is(copyOut(t, `${registry}/two:1`).manifest.config.digest, id);
});

async function listening(t: ExecutionContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("what is not there, or is a digest, is not pushed", async (t) => {
  const store = new ImageStore(scratch(t));
  await importRoot(store, pieces(BASE), { reference: "a:1" });
  for (const name of ["a", "b:1"]) {
    const error = await t.throwsAsync(push(store, name), { instanceOf: ImageError });
    t.is(error.message, `An image does not exist locally with the tag: ${name.slice(0, 1)}`);
  }
  const digest = digestOf(Buffer.from(""));
  await t.throwsAsync(push(store, `a@${digest}`), { message: /cannot push a digest reference/ });
});

/** A registry that takes uploads, as far as a test lets it. */
async function startSink(t: ExecutionContext): Promise<FakeRegistry & { uploads: Buffer[] }> {
  const registry = await startFake(t);
  const uploads: Buffer[] = [];
  const respond = (status: number, location?: string): Handler => {
    return (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (bytes: Buffer) => chunks.push(bytes));
      request.on("end", () => {
        if (request.method === "PATCH") uploads.push(Buffer.concat(chunks));
        if (request.method === "PUT") response.writeHead(201).end();
        else response.writeHead(status, location === undefined ? {} : { location }).end();
      });
    };
  };
  registry.routes.set("/v2/app/blobs/uploads/", respond(202, "/v2/app/blobs/uploads/1?state=a"));
  registry.routes.set("/v2/app/blobs/uploads/1", respond(202, "/v2/app/blobs/uploads/1?state=b"));
  registry.routes.set("/v2/app/manifests/latest", respond(201));
  return { ...registry, uploads };
}

const HOSTILE: readonly (readonly [string, ImageErrorCode, string, Handler])[] = [
  [
    "does not say where to upload",
    "REGISTRY_PROTOCOL",
    "/v2/app/blobs/uploads/",
    (_, response) => void response.writeHead(202).end(),
  ],
  [
    "wants the upload without TLS elsewhere",
    "REGISTRY_INSECURE",
    "/v2/app/blobs/uploads/",
    (_, response) => void response.writeHead(202, { location: "http://192.0.2.1/x" }).end(),
  ],
  [
    "wants the upload in a file",
    "REGISTRY_INSECURE",
    "/v2/app/blobs/uploads/",
    (_, response) => void response.writeHead(202, { location: "file:///etc/passwd" }).end(),
  ],
  [
    "refuses the manifest in strange words",
    "REGISTRY_PROTOCOL",
    "/v2/app/manifests/latest",
    (_, response) => {
      const message = "a\u001b[31m".repeat(500);
      response.writeHead(400).end(JSON.stringify({ errors: [{ code: "X", message }] }));
    },
  ],
  [
    "answers blobs with a teapot",
    "REGISTRY_PROTOCOL",
    "/v2/app/blobs/uploads/1",
    (_, response) => void response.writeHead(418).end("<html>"),
  ],
];

for (const [what, code, path, handler] of HOSTILE) {
  test(`a registry that ${what} is refused with ${code}`, async (t) => {
    const registry = await startSink(t);
    registry.routes.set(path, handler);
    const root = scratch(t);
    const store = new ImageStore(root);
    await importRoot(store, pieces(BASE), { reference: registry.name });
    const error = await t.throwsAsync(push(store, registry.name), { instanceOf: ImageError });
    t.is(error.code, code);
    t.true(error.message.length < 600);
    t.false(error.message.includes("\u001b"));
    t.deepEqual(readdirSync(join(root, "images", "staging")), []);
  });
}

test("an upload that breaks begins again, and an early refusal is heard", async (t) => {
  const registry = await startSink(t);
  const store = new ImageStore(scratch(t));
  await importRoot(store, pieces(BASE), { reference: registry.name });
  const good = registry.routes.get("/v2/app/blobs/uploads/1");
  let times = 0;
  registry.routes.set("/v2/app/blobs/uploads/1", (request, response) => {
    if (request.method === "PATCH" && ++times === 1) request.socket.destroy();
    else good?.(request, response);
  });
  const { events } = await pushed(store, registry.name);
  t.deepEqual(events, ["image", "pushed", "done"]);
  t.is(times, 2);
  const [upload = Buffer.alloc(0)] = registry.uploads;
  t.true(gunzipSync(upload).equals(BASE));
});

test("a push stops when it is cancelled", async (t) => {
  const registry = await startSink(t);
  const store = new ImageStore(scratch(t));
  await importRoot(store, pieces(BASE), { reference: registry.name });
  const stop = new AbortController();
  registry.routes.set("/v2/app/blobs/uploads/1", () => stop.abort());
  await t.throwsAsync(push(store, registry.name, { signal: stop.signal }), { code: "ABORTED" });
});
