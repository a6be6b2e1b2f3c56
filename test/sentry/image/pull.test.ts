import { readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { ImageError } from "../../../sentry/image/errors.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { openImage } from "../../../sentry/image/merged-tree.ts";
import { parsePlatform } from "../../../sentry/image/platform.ts";
import { type PullEvent, pull } from "../../../sentry/image/pull.ts";
import { makeLayout, push, startPrivateRegistry, startRegistry } from "./registry-fixture.ts";
import { scratch, tar } from "./tar-fixture.ts";

const BASE = tar([
  { name: "etc/", type: "5", mode: 0o755 },
  { name: "etc/hostname", content: "base\n" },
  { name: "etc/removed", content: "x" },
  { name: "big", content: Buffer.alloc(300_000, "big") },
]);
const TOP = tar([{ name: "etc/.wh.removed" }, { name: "etc/added", content: "y" }]);

function layout(t: ExecutionContext, architecture = "amd64"): string {
  return makeLayout(t, {
    tag: "latest",
    layers: [BASE, TOP, tar([{ name: "arch", content: architecture }])],
    architecture,
    config: ["--config.cmd=/bin/bash", "--config.env=PATH=/bin", "--config.user=1000"],
  });
}

function names(image: { layerDirectories: readonly string[] }, path?: string): string[] {
  const tree = openImage(image.layerDirectories);
  const node = path === undefined ? tree.root : tree.root.lookup(path);
  const found = [...(node?.list() ?? [])].map((entry) => entry.name);
  tree.close();
  return found;
}

test("pull() fetches OCI and docker images from a real registry", async (t) => {
  const registry = await startRegistry(t);
  const source = `oci:${layout(t)}:latest`;
  push(source, `docker://${registry}/library/debian:oci`);
  push(source, `docker://${registry}/library/debian:v2s2`, "--format", "v2s2");
  const root = scratch(t);
  const store = new ImageStore(root);
  const events: PullEvent[] = [];
  const oci = await pull(store, `${registry}/library/debian:oci`, {
    onProgress: (event) => events.push(event),
  });
  t.true(oci.newer);
  t.deepEqual(names(oci.image), ["arch", "big", "etc"]);
  t.deepEqual(names(oci.image, "etc"), ["added", "hostname"]);
  t.like(oci.image.config.config, { Cmd: ["/bin/bash"], Env: ["PATH=/bin"], User: "1000" });
  t.deepEqual(oci.image.tags, [`${registry}/library/debian:oci`]);
  t.deepEqual(oci.image.digests, [`${registry}/library/debian@${oci.digest}`]);
  t.deepEqual(events.filter((event) => event.type === "complete").length, 3);
  const last = events.findLast((event) => event.type === "downloading");
  t.is(last?.current, last?.total);

  const docker = await pull(store, `${registry}/library/debian:v2s2`);
  t.deepEqual(names(docker.image, "etc"), ["added", "hostname"]);
  t.is(readdirSync(join(root, "images", "layers-2")).length, 3);

  const again = await pull(store, `${registry}/library/debian:oci`);
  t.false(again.newer);
  const pinned = await pull(store, `${registry}/library/debian@${oci.digest}`);
  t.is(pinned.image.id, oci.image.id);
  const both = `${registry}/library/debian:other@${oci.digest}`;
  t.is((await pull(store, both)).image.id, oci.image.id);
  t.is((await store.get(both)).id, oci.image.id);
  const missing = await t.throwsAsync(pull(store, `${registry}/library/debian:none`), {
    instanceOf: ImageError,
  });
  t.is(missing.code, "REGISTRY_NOT_FOUND");
});

test("pull() chooses the image for the platform out of an index", async (t) => {
  const registry = await startRegistry(t);
  const manifests: object[] = [];
  for (const architecture of ["amd64", "arm64"]) {
    push(`oci:${layout(t, architecture)}:latest`, `docker://${registry}/multi:${architecture}`);
    const accept = "application/vnd.oci.image.manifest.v1+json";
    const answer = await fetch(`http://${registry}/v2/multi/manifests/${architecture}`, {
      headers: { accept },
    });
    const bytes = await answer.arrayBuffer();
    manifests.push({
      mediaType: accept,
      digest: answer.headers.get("docker-content-digest"),
      size: bytes.byteLength,
      platform: { os: "linux", architecture },
    });
  }
  const mediaType = "application/vnd.oci.image.index.v1+json";
  await fetch(`http://${registry}/v2/multi/manifests/latest`, {
    method: "PUT",
    headers: { "content-type": mediaType },
    body: JSON.stringify({ schemaVersion: 2, mediaType, manifests }),
  });
  const store = new ImageStore(scratch(t));
  for (const architecture of ["amd64", "arm64"]) {
    const { image } = await pull(store, `${registry}/multi`, {
      platform: parsePlatform(architecture),
    });
    t.is(image.config.platform.architecture, architecture);
  }
  const wrong = await t.throwsAsync(
    pull(store, `${registry}/multi:amd64`, { platform: parsePlatform("linux/arm64") }),
    { instanceOf: ImageError },
  );
  t.is(wrong.code, "PLATFORM_UNAVAILABLE");
});

test("pull() logs in with Basic, with given credentials or with docker's", async (t) => {
  const registry = await startPrivateRegistry(t);
  push(`oci:${layout(t)}:latest`, `docker://${registry}/private`, "--dest-creds", "me:pass:word");
  const store = new ImageStore(scratch(t));
  const name = `${registry}/private`;
  const none = await t.throwsAsync(pull(store, name), { instanceOf: ImageError });
  t.is(none.message, "The registry denied access: no basic auth credentials");
  const credentials = { username: "me", password: "wrong" };
  const bad = await t.throwsAsync(pull(store, name, { credentials }), { instanceOf: ImageError });
  t.is(bad.code, "REGISTRY_DENIED");
  t.notRegex(bad.message, /wrong/);
  const given = { username: "me", password: "pass:word" };
  t.deepEqual(names((await pull(store, name, { credentials: given })).image), [
    "arch",
    "big",
    "etc",
  ]);
});

test.serial("pull() finds the credentials that docker login has stored", async (t) => {
  const registry = await startPrivateRegistry(t);
  push(`oci:${layout(t)}:latest`, `docker://${registry}/private`, "--dest-creds", "me:pass:word");
  const directory = scratch(t);
  const auth = Buffer.from("me:pass:word").toString("base64");
  writeFileSync(
    join(directory, "config.json"),
    JSON.stringify({ auths: { [registry]: { auth } } }),
  );
  process.env["DOCKER_CONFIG"] = directory;
  t.teardown(() => delete process.env["DOCKER_CONFIG"]);
  const { image } = await pull(new ImageStore(scratch(t)), `${registry}/private`);
  t.is(image.layerDirectories.length, 3);
});

test("pull() asks a token server where the registry wants a Bearer token", async (t) => {
  const registry = await startRegistry(t);
  push(`oci:${layout(t)}:latest`, `docker://${registry}/team/app`);
  const asked: string[] = [];
  const tokens = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization ?? "anonymous"}`);
    response.end(JSON.stringify({ token: "good" }));
  });
  const front = createServer((request, response) => {
    if (request.headers.authorization !== "Bearer good") {
      const realm = `http://127.0.0.1:${portOf(tokens)}/token`;
      response.setHeader("www-authenticate", `Bearer realm="${realm}",service="reg, istry"`);
      response.writeHead(401).end();
      return;
    }
    response.writeHead(307, { location: `http://${registry}${request.url}` }).end();
  });
  for (const server of [tokens, front]) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.teardown(() => server.close());
  }
  const credentials = { username: "u", password: "p" };
  const { image } = await pull(
    new ImageStore(scratch(t)),
    `localhost:${portOf(front)}/team/app:latest`,
    { credentials },
  );
  t.is(image.layerDirectories.length, 3);
  t.deepEqual(asked, [
    "/token?service=reg%2C+istry&scope=repository%3Ateam%2Fapp%3Apull&account=u Basic dTpw",
  ]);
});

function portOf(server: ReturnType<typeof createServer>): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("two pulls at once of one image fetch each layer once", async (t) => {
  const registry = await startRegistry(t);
  push(`oci:${layout(t)}:latest`, `docker://${registry}/app`);
  const root = scratch(t);
  const done: string[] = [];
  const one = (): Promise<unknown> =>
    pull(new ImageStore(root), `${registry}/app`, {
      onProgress: (event) => {
        if (event.type === "complete" || event.type === "exists") done.push(event.type);
      },
    });
  await Promise.all([one(), one(), one()]);
  t.is(done.filter((type) => type === "complete").length, 3);
  t.is(done.filter((type) => type === "exists").length, 6);
});
