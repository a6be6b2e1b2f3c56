/** The protocol's rules, over real sockets: versions, headers, errors, streams exact to the byte. */
import { connect, type Socket } from "node:net";
import test from "ava";
import Docker from "dockerode";
import WebSocket from "ws";
import { type Served, serve } from "./served.ts";

let served: Served;
test.before(async () => {
  served = await serve();
});
test.after.always(() => served?.close());

test("every reply tells the version, and ping what a client asks first", async (t) => {
  const { status, headers, text } = await served.request("HEAD", "/_ping");
  t.is(status, 200);
  t.is(text, "");
  t.like(headers, {
    "api-version": "1.51",
    "docker-experimental": "false",
    ostype: "linux",
    "builder-version": headers["builder-version"],
    swarm: "inactive",
    "content-length": "0",
  });
  t.regex(String(headers["server"]), /^Docker\/\d+\.\d+\.\d+ \(linux\)$/);
  t.is((await served.request("GET", "/v1.24/_ping")).text, "OK");
});

test("an idle connection stays open, as clients that use it again expect", async (t) => {
  const socket = connect(served.socketPath);
  t.teardown(() => socket.destroy());
  for (let i = 0; i < 2; i++) {
    socket.write("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
    const head = await new Promise((resolve) => socket.once("data", resolve));
    t.regex(String(head), /^Connection: keep-alive\r$/m);
    // Node announces here after which time it would close the connection.
    t.notRegex(String(head), /timeout/);
  }
});

const VERSIONS: readonly (readonly [path: string, status: number, message: RegExp])[] = [
  ["/v1.51/info", 200, /^/],
  ["/v1.24/info", 200, /^/],
  ["/v1.52/info", 400, /client version 1.52 is too new. Maximum supported API version is 1.51/],
  ["/v1.x/info", 404, /page not found/],
  ["/nosuch", 404, /page not found/],
  ["/containers/nosuch/json", 404, /No such container: nosuch/],
];
for (const [path, status, message] of VERSIONS) {
  test(`GET ${path} is ${status}`, async (t) => {
    const response = await served.request("GET", path);
    t.is(response.status, status);
    // Go's client wants exactly this, without a charset.
    t.is(response.headers["content-type"], "application/json");
    if (status >= 400) t.regex(String(response.json()["message"]), message);
  });
}

test("a container is refused without an image, and with one that is not there", async (t) => {
  const create = (body: object) => served.request("POST", "/containers/create", { body });
  t.regex((await create({})).text, /config cannot be empty/);
  t.like(await create({ Image: "nosuch" }), {
    status: 404,
    text: '{"message":"No such image: nosuch:latest"}\n',
  });
  t.regex((await create({ Image: "host", HostConfig: { Runtime: "x" } })).text, /runtime name: x/);
});

/** A new container's id. */
async function create(body: object): Promise<string> {
  const response = await served.request("POST", "/containers/create", {
    body: { Image: "host", ...body },
  });
  return String(response.json()["Id"]);
}

/** Sends a request that takes the connection over, and keeps everything that comes back. */
function hijack(
  head: string,
  body = "",
  upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n",
): { socket: Socket; received: Promise<Buffer> } {
  const socket = connect({ path: served.socketPath, allowHalfOpen: true });
  socket.write(
    `${head} HTTP/1.1\r\nHost: d\r\n${upgrade}` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`,
  );
  // In pieces, as a slow client's would come.
  for (const byte of body) socket.write(byte);
  const received = new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("end", () => {
      socket.end();
      resolve(Buffer.concat(chunks));
    });
    socket.on("error", reject);
  });
  return { socket, received };
}

function split(bytes: Buffer): { readonly head: string; readonly rest: Buffer } {
  const end = bytes.indexOf("\r\n\r\n");
  return { head: bytes.toString("latin1", 0, end), rest: bytes.subarray(end + 4) };
}

/** Output by stream; asserts that the frames are whole. */
function unframe(bytes: Buffer): Record<number, string> {
  const streams: Record<number, string> = { 1: "", 2: "" };
  let at = 0;
  while (at < bytes.length) {
    const stream = bytes.readUInt8(at);
    const length = bytes.readUInt32BE(at + 4);
    if (at + 8 + length > bytes.length) throw new Error("The last frame is cut off");
    streams[stream] += bytes.toString("utf8", at + 8, at + 8 + length);
    at += 8 + length;
  }
  return streams;
}

test("attach before start: frames of both outputs, input to its half-close, nothing lost", async (t) => {
  const Cmd = ["sh", "-c", "cat; echo done; echo problem >&2"];
  const id = await create({ Cmd, OpenStdin: true, StdinOnce: true, AttachStdin: true });
  const { socket, received } = hijack(
    `POST /v1.51/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`,
  );
  await new Promise((resolve) => socket.once("data", resolve));
  await served.request("POST", `/containers/${id}/start`);
  const input = "0123456789\n".repeat(20_000);
  socket.end(input);
  const { head, rest } = split(await received);
  t.regex(head, /^HTTP\/1\.1 101 UPGRADED\r\n/);
  t.regex(head, /Content-Type: application\/vnd\.docker\.multiplexed-stream/);
  const streams = unframe(rest);
  t.is(streams[1], `${input}done\n`);
  t.is(streams[2], "problem\n");
});

test("exec start: its body in pieces, its input, and its exit code before the end", async (t) => {
  const id = await create({ Cmd: ["sleep", "1000"] });
  await served.request("POST", `/containers/${id}/start`);
  const body = { Cmd: ["sh", "-c", "cat; exit 5"], AttachStdin: true, AttachStdout: true };
  const exec = (await served.request("POST", `/containers/${id}/exec`, { body })).json()["Id"];
  const { socket, received } = hijack(`POST /exec/${exec}/start`, '{"Detach":false,"Tty":false}');
  socket.end("typed");
  const { head, rest } = split(await received);
  t.regex(head, /^HTTP\/1\.1 101 /);
  t.is(unframe(rest)[1], "typed");
  const after = (await served.request("GET", `/exec/${exec}/json`)).json();
  t.like(after, { Running: false, ExitCode: 5 });
  const again = split(await hijack(`POST /exec/${exec}/start`, "{}").received);
  t.regex(again.head, /^HTTP\/1\.1 409 /);
});

test("without an upgrade the same streams come as a plain answer", async (t) => {
  const id = await create({ Cmd: ["sleep", "1000"] });
  await served.request("POST", `/containers/${id}/start`);
  const body = { Cmd: ["echo", "plain"], AttachStdout: true };
  const exec = (await served.request("POST", `/containers/${id}/exec`, { body })).json()["Id"];
  const response = await served.request("POST", `/exec/${exec}/start`, { body: {} });
  t.is(response.status, 200);
  t.is(response.headers["content-type"], "application/vnd.docker.raw-stream");
  t.is(unframe(Buffer.from(response.text, "utf8"))[1], "plain\n");
});

test("without an upgrade, too, what a client sends after the answer's head is the input", async (t) => {
  const id = await create({ Cmd: ["sleep", "1000"] });
  await served.request("POST", `/containers/${id}/start`);
  const body = { Cmd: ["sh", "-c", "cat; exit 5"], AttachStdin: true, AttachStdout: true };
  const exec = (await served.request("POST", `/containers/${id}/exec`, { body })).json()["Id"];
  const { socket, received } = hijack(`POST /exec/${exec}/start`, "{}", "");
  await new Promise((resolve) => socket.once("data", resolve));
  const input = "0123456789\n".repeat(20_000);
  socket.end(input);
  const { head, rest } = split(await received);
  t.regex(head, /^HTTP\/1\.1 200 OK\r\n/);
  t.is(unframe(rest)[1], input);
  t.is((await served.request("GET", `/exec/${exec}/json`)).json()["ExitCode"], 5);
});

test("attach by web socket", async (t) => {
  const id = await create({ Cmd: ["sh", "-c", "read line; echo got $line"], OpenStdin: true });
  const query = "stream=1&stdin=1&stdout=1&stderr=1";
  const socket = new WebSocket(
    `ws+unix://${served.socketPath}:/v1.51/containers/${id}/attach/ws?${query}`,
  );
  const closed = new Promise((resolve) => socket.once("close", resolve));
  let text = "";
  socket.on("message", (data: Buffer) => {
    text += data.toString("utf8");
  });
  await new Promise((resolve) => socket.once("open", resolve));
  await served.request("POST", `/containers/${id}/start`);
  socket.send("a word\n");
  await closed;
  t.is(text, "got a word\n");
});

test("a client that leaves in the middle is no fault, and the container goes on", async (t) => {
  const id = await create({ Cmd: ["sh", "-c", "while :; do echo line; done"], Tty: false });
  await served.request("POST", `/containers/${id}/start`);
  for (const path of ["attach?stream=1&stdout=1", "wait"]) {
    const { socket, received } = hijack(`POST /containers/${id}/${path}`);
    received.catch(() => {});
    await new Promise((resolve) => socket.once("data", resolve));
    socket.destroy();
  }
  const { json } = await served.request("GET", `/containers/${id}/json`);
  t.like(json()["State"], { Running: true });
  t.deepEqual(served.faults, []);
  await served.request("DELETE", `/containers/${id}?force=true`);
});

test("the answer to wait begins before the container ends", async (t) => {
  const id = await create({ Cmd: ["sh", "-c", "exit 6"] });
  // Were its head to wait for the end, this would never be answered.
  const waiting = served.request("POST", `/containers/${id}/wait?condition=next-exit`);
  await new Promise((resolve) => setImmediate(resolve));
  await served.request("POST", `/containers/${id}/start`);
  t.is((await waiting).text, '{"StatusCode":6}\n');
  t.is((await served.request("POST", `/containers/${id}/wait`)).text, '{"StatusCode":6}\n');
  const wrong = await served.request("POST", `/containers/${id}/wait?condition=never`);
  t.is(wrong.status, 400);
});

test("dockerode creates, attaches, starts, waits, reads logs and removes", async (t) => {
  const docker = new Docker({ socketPath: served.socketPath });
  const container = await docker.createContainer({
    Image: "host",
    Cmd: ["sh", "-c", "echo from dockerode"],
    Labels: { by: "dockerode" },
  });
  await container.start();
  t.deepEqual(await container.wait(), { StatusCode: 0 });
  const logs = await container.logs({ stdout: true, stderr: true });
  t.is(unframe(logs as unknown as Buffer)[1], "from dockerode\n");
  const listed = await docker.listContainers({ all: true, filters: { label: ["by=dockerode"] } });
  t.deepEqual(
    listed.map(({ Id }) => Id),
    [container.id],
  );
  t.is((await container.inspect()).State.ExitCode, 0);
  await container.remove();
  const error = await t.throwsAsync(container.inspect());
  t.is((error as Error & { statusCode: number }).statusCode, 404);
});

test("the description of the API has every route, with its query and body", async (t) => {
  const { json } = await served.request("GET", "/openapi.json");
  const { openapi, paths } = json() as {
    openapi: string;
    paths: Record<string, Record<string, { parameters?: object[]; requestBody?: object }>>;
  };
  t.is(openapi, "3.1.0");
  t.true((paths["/containers/json"]?.["get"]?.parameters?.length ?? 0) >= 4);
  t.truthy(paths["/containers/create"]?.["post"]?.requestBody);
});
