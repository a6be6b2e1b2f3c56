import { request } from "node:http";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import Docker from "dockerode";
import { Daemon, type DaemonOptions } from "../../daemon/daemon.ts";
import { directoriesOf } from "../../sentry/container/directories.ts";
import { ImageBuilder } from "../../sentry/image/image-builder.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { startPrivateRegistry, startRegistry } from "../sentry/image/registry-fixture.ts";
import { pieces, scratch, tar } from "../sentry/image/tar-fixture.ts";

const BASE = tar([{ name: "etc/hostname", content: "base\n" }]);
const TOP = tar([{ name: "top", content: Buffer.alloc(300_000, "top") }]);
const DOCKERFILE = { name: "Dockerfile", content: "FROM app:1\nLABEL from=mirror\n" };

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

interface Fixture {
  readonly docker: Docker;
  readonly store: ImageStore;
  ask(
    method: string,
    path: string,
    body?: Uint8Array | string,
    headers?: Record<string, string>,
  ): Promise<Reply>;
}

/** A daemon with a store of its own. */
async function start(
  t: ExecutionContext,
  registries?: DaemonOptions["registries"],
): Promise<Fixture> {
  const base = scratch(t);
  const directories = directoriesOf({
    ...process.env,
    DD_ROOT: join(base, "root"),
    DD_RUN: join(base, "run"),
  });
  const daemon = await Daemon.start({
    directories,
    backgroundProgram: "/nonexistent",
    buildStepProgram: "/nonexistent",
    pageDirectory: "/nonexistent",
    defaultMode: "trusted",
    version: "test",
    registries,
    log: () => undefined,
  });
  t.teardown(() => daemon.close());
  const { socketPath } = daemon;
  const ask: Fixture["ask"] = (method, path, body, headers = {}) =>
    new Promise((resolve, reject) => {
      const sent = request({ socketPath, method, path, headers, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (bytes: Buffer) => chunks.push(bytes));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
      });
      sent.on("error", reject);
      sent.end(body);
    });
  return { docker: new Docker({ socketPath }), store: new ImageStore(directories.root), ask };
}

function json(reply: Reply): unknown {
  return JSON.parse(reply.body.toString());
}

/** The messages of a stream. */
function messages({ body }: Reply): Record<string, unknown>[] {
  const lines = body.toString().split("\r\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** What a stream says in words, without how far things are. */
function statuses(reply: Reply): unknown[] {
  return messages(reply)
    .filter((message) => !("progress" in message))
    .map(({ id, status, stream, error }) => status ?? stream ?? error ?? id)
    .filter((each) => each !== undefined);
}

/** A base image without a name, and one of it called `app:1`. */
async function fill(store: ImageStore): Promise<void> {
  await ImageBuilder.run(store, undefined, async (builder) => {
    const bottom = (await builder.createLayer(pieces(BASE))).diffId;
    const parent = await builder.createImage({
      layers: [bottom],
      config: { Env: ["A=1"] },
      created: "2024-01-02T03:04:05.678Z",
      history: [{ created: "2024-01-02T03:04:05.678Z", created_by: "ADD base /" }],
    });
    const top = (await builder.createLayer(pieces(TOP))).diffId;
    await builder.createImage({
      parent,
      layers: [top],
      config: { Env: ["A=1"], Cmd: ["/top"], Labels: { a: "b" }, Healthcheck: {} },
      created: "2024-01-03T00:00:00Z",
      author: "me",
      history: [
        { created: "2024-01-03T00:00:00Z", created_by: "CMD", empty_layer: true },
        { created: "2024-01-03T00:00:00Z", created_by: "ADD top /", comment: "the top" },
      ],
      names: ["app:1"],
    });
  });
}

test("an image is listed, inspected and its history told as docker does", async (t) => {
  const { docker, store, ask } = await start(t);
  await fill(store);
  const image = await store.get("app:1");
  const created = Date.parse("2024-01-03T00:00:00Z") / 1000;
  const listed = {
    Containers: -1,
    Created: created,
    Id: image.id,
    Labels: { a: "b" },
    ParentId: image.parent,
    RepoDigests: [],
    RepoTags: ["app:1"],
    SharedSize: -1,
    Size: image.size,
  };
  t.deepEqual(json(await ask("GET", "/v1.44/images/json")), [listed]);
  t.deepEqual(json(await ask("GET", "/v1.43/images/json")), [
    { ...listed, VirtualSize: image.size },
  ]);
  t.is((await docker.listImages({ all: true })).length, 2);
  const reference = encodeURIComponent('{"reference":{"app":true}}');
  t.deepEqual(json(await ask("GET", `/images/json?shared-size=1&filters=${reference}`)), [
    { ...listed, SharedSize: 5 },
  ]);

  const inspected = (await docker.getImage("app:1").inspect()) as unknown as Record<
    string,
    unknown
  >;
  const { Metadata: metadata, ...rest } = inspected;
  t.regex(String((metadata as { LastTagTime: string }).LastTagTime), /^20\d\d-/);
  const config = {
    User: "",
    Env: ["A=1"],
    Cmd: ["/top"],
    Volumes: null,
    WorkingDir: "",
    Entrypoint: null,
    OnBuild: null,
    Labels: { a: "b" },
  };
  t.deepEqual(rest, {
    Id: image.id,
    RepoTags: ["app:1"],
    RepoDigests: [],
    Parent: image.parent,
    Comment: "the top",
    Created: "2024-01-03T00:00:00Z",
    DockerVersion: "",
    Author: "me",
    Config: config,
    Architecture: process.arch === "arm64" ? "arm64" : "amd64",
    ...(process.arch === "arm64" ? { Variant: "v8" } : {}),
    Os: "linux",
    Size: image.size,
    GraphDriver: { Data: null, Name: "dd" },
    RootFS: { Type: "layers", Layers: image.config.diffIds },
  });
  const old = json(await ask("GET", `/v1.40/images/${image.id}/json`)) as Record<string, unknown>;
  t.is(old["VirtualSize"], image.size);
  t.like(old["Config"], { ...config, Hostname: "", AttachStdin: false, Image: "" });
  t.like(old["ContainerConfig"], { Cmd: ["/top"] });

  t.deepEqual(json(await ask("GET", "/images/app:1/history")), [
    {
      Id: image.id,
      Created: created,
      CreatedBy: "ADD top /",
      Tags: ["app:1"],
      Size: 300_000,
      Comment: "the top",
    },
    { Id: image.parent, Created: created, CreatedBy: "CMD", Tags: null, Size: 0, Comment: "" },
    {
      Id: "<missing>",
      Created: Math.floor(Date.parse("2024-01-02T03:04:05.678Z") / 1000),
      CreatedBy: "ADD base /",
      Tags: null,
      Size: 5,
      Comment: "",
    },
  ]);
});

test("what is wrong with a request is said in docker's words", async (t) => {
  const { store, ask } = await start(t);
  await fill(store);
  const { id } = await store.get("app:1");
  const rows: readonly (readonly [string, string, number, RegExp])[] = [
    ["GET", "/images/none/json", 404, /^No such image: none:latest$/],
    ["GET", "/images/registry.example:5000/a/b/json", 404, /^No such image: registry\S+b:latest$/],
    ["GET", "/images/UPPER/json", 400, /repository name \(library\/UPPER\) must be lowercase/],
    ["GET", `/images/${"0".repeat(64)}/json`, 404, /^No such image/],
    ["GET", "/images/none/history", 404, /^No such image: none:latest$/],
    ["GET", "/images/none/get", 404, /^No such image: none:latest$/],
    ["GET", "/images/get?names=app:1&names=none", 404, /^No such image: none:latest$/],
    ["DELETE", "/images/none", 404, /^No such image: none:latest$/],
    ["POST", "/images/none/tag?repo=x", 404, /^No such image: none:latest$/],
    ["POST", "/images/app:1/tag?repo=X&tag=1", 400, /must be lowercase/],
    ["POST", "/images/app:1/tag?repo=x&tag=a/b", 400, /invalid reference format/],
    ["POST", `/images/app:1/tag?repo=x@${id}`, 400, /refusing to create a tag with a digest/],
    ["POST", "/images/create?fromImage=Bad%20Name&tag=1", 400, /invalid reference format/],
    ["POST", "/images/create", 400, /invalid reference format/],
    [
      "POST",
      "/images/create?fromImage=a&tag=1&platform=windows/amd64",
      400,
      /unknown operating system/,
    ],
    ["GET", "/images/json?filters=%7B%22x%22%3A%5B%5D%7D", 400, /invalid filter 'x'/],
    ["POST", "/images/prune?filters=%7B%22since%22%3A%5B%22a%22%5D%7D", 400, /invalid filter/],
    ["GET", "/images/search?term=", 400, /term/],
    ["GET", "/images/search?term=x&limit=101", 400, /limit/],
    ["GET", "/images/search?term=x%3A%2F%2Fy", 400, /./],
  ];
  for (const [method, path, status, message] of rows) {
    const reply = await ask(method, path);
    t.is(reply.status, status, `${method} ${path}`);
    t.regex((json(reply) as { message: string }).message, message);
  }
});

test("names come and go, and what happens is told", async (t) => {
  const { docker, store, ask } = await start(t);
  await fill(store);
  const { id, parent, config } = await store.get("app:1");
  await docker.getImage("app:1").tag({ repo: "registry.example:5000/team/app", tag: "x" });
  t.is((await ask("POST", "/images/app:1/tag?repo=other")).status, 201);
  t.deepEqual((await store.get(id)).tags, [
    "app:1",
    "other:latest",
    "registry.example:5000/team/app:x",
  ]);
  const conflict = await ask("DELETE", `/images/${id}`);
  t.is(conflict.status, 409);
  t.regex(conflict.body.toString(), /image is referenced in multiple repositories/);
  t.deepEqual(await docker.getImage("other").remove(), [{ Untagged: "other:latest" }]);
  const removed = json(await ask("DELETE", `/images/${id}?force=1`)) as object[];
  t.deepEqual(removed.slice(0, 3), [
    { Untagged: "app:1" },
    { Untagged: "registry.example:5000/team/app:x" },
    { Deleted: id },
  ]);
  t.deepEqual(removed.slice(4), [{ Deleted: parent }, { Deleted: config.diffIds[0] }]);
  const until = Math.floor(Date.now() / 1000) + 1;
  const types = encodeURIComponent('{"type":["image"]}');
  const events = (await ask("GET", `/events?since=1&until=${until}&filters=${types}`)).body
    .toString()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { Action: string; Actor: { ID: string } });
  t.deepEqual(
    events.map(({ Action: action }) => action),
    ["tag", "tag", "untag", "untag", "untag", "delete"],
  );
  t.true(events.every(({ Actor: { ID } }) => ID === id));
});

test("archives are imported, saved and loaded, and what is no archive is said among the messages", async (t) => {
  const { docker, store, ask } = await start(t);
  const query = "fromSrc=-&repo=mini&tag=2&message=mine&changes=CMD%20x&changes=ENV%20A%3D1";
  const imported = await ask("POST", `/images/create?${query}`, gzipSync(BASE));
  const image = await store.get("mini:2");
  t.deepEqual(messages(imported), [{ status: image.id }]);
  t.deepEqual(image.config.config.Cmd, ["/bin/sh", "-c", "x"]);
  const archive = (await ask("GET", "/images/get?names=mini:2")).body;
  await docker.getImage("mini:2").remove();
  const loaded = await ask("POST", "/images/load?quiet=1", gzipSync(archive), {
    "content-type": "application/x-tar",
  });
  t.deepEqual(statuses(loaded), ["Loaded image: mini:2\n"]);
  t.is((await store.get("mini:2")).id, image.id);
  const stream = await docker.loadImage(Readable.from([archive], { objectMode: false }));
  await new Promise((resolve, reject) => stream.on("end", resolve).on("error", reject).resume());
  const bad = await ask("POST", "/images/load", "this is no archive");
  t.is(bad.status, 200);
  t.is(typeof messages(bad)[0]?.["error"], "string");
});

test("images go to a registry and come back, with what docker says on the way", async (t) => {
  const { docker, store, ask } = await start(t);
  const registry = await startRegistry(t);
  await fill(store);
  const name = `${registry}/team/app`;
  await store.tag("app:1", `${name}:1`);
  const { id, config } = await store.get("app:1");
  const short = config.diffIds.map((diffId) => diffId.slice(7, 19));
  const pushed = await ask("POST", `/images/${name}/push?tag=1`);
  t.is(pushed.status, 200);
  const aux = messages(pushed).at(-1)?.["aux"] as { Tag: string; Digest: string; Size: number };
  t.is(aux.Tag, "1");
  t.is(statuses(pushed)[0], `The push refers to repository [${name}]`);
  t.is(statuses(pushed).at(-1), `1: digest: ${aux.Digest} size: ${aux.Size}`);
  const of = (status: string): unknown[] =>
    messages(pushed)
      .filter((message) => message["status"] === status)
      .map((message) => message["id"]);
  t.deepEqual(of("Preparing"), short);
  t.deepEqual(of("Pushed").sort(), short.toSorted());

  const remote = json(await ask("GET", `/distribution/${name}:1/json`)) as object;
  t.like(remote, { Descriptor: { digest: aux.Digest, size: aux.Size } });
  t.is((await ask("DELETE", `/images/${id}?force=1`)).status, 200);
  const pulled = await ask("POST", `/images/create?fromImage=${name}&tag=1`);
  const said = statuses(pulled);
  t.is(said[0], `Pulling from ${name.slice(name.indexOf("/") + 1)}`);
  t.is(said.filter((status) => status === "Pull complete").length, 2);
  t.deepEqual(said.slice(-2), [
    `Digest: ${aux.Digest}`,
    `Status: Downloaded newer image for ${name}:1`,
  ]);
  const again = await ask("POST", `/images/create?fromImage=${name}&tag=${aux.Digest}`);
  t.deepEqual(statuses(again), [
    `Pulling from ${name.slice(name.indexOf("/") + 1)}`,
    `Digest: ${aux.Digest}`,
    `Status: Image is up to date for ${name}@${aux.Digest}`,
  ]);
  const all = await ask("POST", `/images/create?fromImage=${name}`);
  t.is(statuses(all).at(-1), `Status: Image is up to date for ${name}`);
  t.deepEqual((await docker.getImage(`${name}:1`).inspect()).RepoDigests, [
    `${name}@${aux.Digest}`,
  ]);
  const missing = await ask("POST", `/images/create?fromImage=${name}&tag=none`);
  t.is(missing.status, 404);
  t.regex(missing.body.toString(), /manifest for \S+\/team\/app:none not found: manifest unknown/);
  const local = await ask("POST", "/images/nothing-here/push?tag=x");
  t.deepEqual(statuses(local).slice(1), [
    "An image does not exist locally with the tag: nothing-here",
  ]);
});

test("logins are tried, and shown to the registry that they are for", async (t) => {
  const { docker, store, ask } = await start(t);
  const registry = await startPrivateRegistry(t);
  const login = { username: "me", password: "pass:word", serveraddress: registry };
  t.deepEqual(await docker.checkAuth(login), { Status: "Login Succeeded", IdentityToken: "" });
  const headers = { "content-type": "application/json" };
  const wrong = JSON.stringify({ ...login, password: "no" });
  const refused = await ask("POST", "/auth", wrong, headers);
  t.is(refused.status, 401);
  t.regex(refused.body.toString(), /unauthorized: incorrect username or password/);
  await fill(store);
  await store.tag("app:1", `${registry}/app:1`);
  const auth = Buffer.from(JSON.stringify(login));
  for (const encoding of ["base64", "base64url"] as const) {
    const header = { "x-registry-auth": auth.toString(encoding) };
    const pushed = await ask("POST", `/images/${registry}/app/push?tag=1`, undefined, header);
    t.truthy(messages(pushed).at(-1)?.["aux"]);
    const path = `/images/create?fromImage=${registry}/app&tag=1`;
    const odd = { "x-registry-auth": "no JSON" };
    t.regex((await ask("POST", path, undefined, odd)).body.toString(), /no basic auth/);
    t.is((await ask("POST", path, undefined, header)).status, 200);
  }
  const anonymous = await ask("POST", `/images/${registry}/app/push?tag=1`);
  t.regex(String(messages(anonymous).at(-1)?.["error"]), /no basic auth credentials/);
});

test("pruning and disk usage tell what images take", async (t) => {
  const { docker, store, ask } = await start(t);
  await fill(store);
  const { id, size } = await store.get("app:1");
  await store.remove("app:1", { noPrune: true });
  const parent = (await store.list())[0];
  t.not(parent?.id, id);
  await ImageBuilder.run(store, undefined, async (builder) => {
    const { diffId } = await builder.createLayer(pieces(TOP));
    await builder.createImage({ layers: [diffId], config: {}, names: ["kept"] });
  });
  const usage = (await docker.df()) as { LayersSize: number; Images: { Containers: number }[] };
  t.is(usage.LayersSize, size);
  t.is(usage.Images.length, 2);
  t.is(usage.Images[0]?.Containers, 0);
  const pruned = json(await ask("POST", "/images/prune"));
  t.deepEqual(pruned, {
    ImagesDeleted: [{ Deleted: parent?.id }, { Deleted: parent?.config.diffIds[0] }],
    SpaceReclaimed: 5,
  });
  t.deepEqual(await docker.pruneImages(), { ImagesDeleted: null, SpaceReclaimed: 0 } as never);
  t.is((await store.list()).length, 1);
});

test("the daemon's own insecure registries and mirrors are used, and told", async (t) => {
  const mirror = await startRegistry(t);
  const address = `http://${mirror}`;
  const { store, ask } = await start(t, { insecure: ["a.example:5000"], mirrors: [address] });
  await fill(store);
  await store.tag("app:1", `${mirror}/library/app:1`);
  t.is((await ask("POST", `/images/${mirror}/library/app/push?tag=1`)).status, 200);
  t.is((await ask("DELETE", "/images/app:1")).status, 200);
  const pulled = await ask("POST", "/images/create?fromImage=app&tag=1");
  t.is(statuses(pulled).at(-1), "Status: Downloaded newer image for app:1");
  t.is(statuses(pulled)[0], "Pulling from library/app");
  t.is((await ask("DELETE", "/images/app:1")).status, 200);
  const built = await ask("POST", "/build?t=built", tar([DOCKERFILE]));
  t.regex(built.body.toString(), /Successfully tagged built:latest/, "the base image of a build");
  const remote = json(await ask("GET", "/distribution/app:1/json")) as object;
  const [digest] = statuses(pulled).flatMap(
    (status) => /^Digest: (.*)$/.exec(String(status))?.[1] ?? [],
  );
  t.like(remote, { Descriptor: { digest } });
  const { RegistryConfig: told } = json(await ask("GET", "/info")) as {
    RegistryConfig: { Mirrors: string[]; IndexConfigs: Record<string, { Secure: boolean }> };
  };
  t.deepEqual(told.Mirrors, [address]);
  t.like(told.IndexConfigs["a.example:5000"], { Secure: false });
  await t.throwsAsync(start(t, { insecure: [], mirrors: ["nonsense"] }), {
    code: "SETTINGS_INVALID",
  });
});
