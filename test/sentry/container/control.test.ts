import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { Errno } from "../../../sentry/abi/errno.ts";
import { ControlClient } from "../../../sentry/container/control-client.ts";
import {
  encodeFrame,
  FRAME_BYTES_MAX,
  FrameReader,
  parseRequest,
  type Request,
} from "../../../sentry/container/control-protocol.ts";
import { CONNECTIONS_MAX, ControlServer } from "../../../sentry/container/control-server.ts";
import { EpollReactor } from "../../../sentry/host/epoll-reactor.ts";
import { close, pipe, readBytes } from "../../../sentry/host/io.ts";
import { connectUnix, sendWithDescriptors } from "../../../sentry/host/unix-stream.ts";
import { until } from "../../fixtures/until.ts";
import { FakeSentry } from "./fake-sentry.ts";
import { sampleRecord, temporaryDirectories } from "./sample.ts";

const PROCESS = { argv: ["true"], env: ["PATH=/usr/bin:/bin"], cwd: "/", user: "" };

const REQUESTS: readonly Request[] = [
  { op: "exec", process: PROCESS },
  { op: "exec", process: PROCESS, terminal: { rows: 1, cols: 2 } },
  { op: "resize", rows: 3, cols: 4 },
  { op: "signal", signo: 15 },
  { op: "kill", signo: 9 },
  { op: "stop", signo: 15, timeoutMs: 1000 },
  { op: "wait" },
  { op: "top" },
  { op: "stats" },
  { op: "confinement" },
];

test("frames come out as they went in, however the bytes are cut", (t) => {
  const stream = Buffer.concat(REQUESTS.map(encodeFrame));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 8 }), (cuts) => {
      const reader = new FrameReader();
      const bounds = [0, ...cuts.sort((a, b) => a - b), stream.length];
      const messages = bounds.flatMap((end, i) => {
        const pushed = reader.push(stream.subarray(i === 0 ? 0 : bounds[i - 1], end));
        return typeof pushed === "string" ? [pushed] : pushed;
      });
      t.deepEqual(messages, REQUESTS);
    }),
  );
});

test("every request survives its own check, and any change of one value is refused or harmless", (t) => {
  for (const request of REQUESTS) t.deepEqual(parseRequest(request), request);
  fc.assert(
    fc.property(fc.constantFrom(...REQUESTS), fc.string(), fc.anything(), (request, key, value) => {
      const keys = Object.keys(request);
      const changed = { ...request, [keys[key.length % keys.length] ?? key]: value };
      const parsed = parseRequest(changed);
      if (typeof parsed !== "string") t.deepEqual(parseRequest(parsed), parsed);
    }),
  );
});

const REFUSED: readonly unknown[] = [
  null,
  [],
  "exec",
  {},
  { op: "exec" },
  { op: "exec", process: { ...PROCESS, argv: [] } },
  { op: "exec", process: { ...PROCESS, argv: ["a\0b"] } },
  { op: "exec", process: { ...PROCESS, argv: ["\u0100"] } },
  { op: "exec", process: { ...PROCESS, env: "A=1" } },
  { op: "exec", process: { ...PROCESS, cwd: "relative" } },
  { op: "exec", process: PROCESS, terminal: { rows: -1, cols: 1 } },
  { op: "kill", signo: 65 },
  { op: "kill", signo: 1.5 },
  { op: "stop", signo: 15, timeoutMs: -1 },
  { op: "constructor" },
  { op: "rename", name: 7 },
  { op: "update", update: "x" },
  { op: "update", update: { limits: { cpus: -1 } } },
  { op: "update", update: { hostConfig: [] } },
  { op: "files-stat" },
  { op: "files-pack", path: "a\0b" },
  { op: "files-pack", path: "\u0100" },
  { op: "files-unpack", path: "/" },
  { op: "files-unpack", path: "/", noOverwriteDirNonDir: true, owner: 0 },
];

for (const value of REFUSED) {
  test(`a malformed request is refused: ${JSON.stringify(value)}`, (t) => {
    t.is(typeof parseRequest(value), "string");
  });
}

test("a frame that claims to be too long ends the reading", (t) => {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(FRAME_BYTES_MAX + 1);
  t.is(typeof new FrameReader().push(header), "string");
});

/** A container with a control socket, whose command sleeps. */
function served(t: ExecutionContext): { path: string; sentry: FakeSentry } {
  const directories = temporaryDirectories(t);
  mkdirSync(directories.run, { recursive: true });
  const record = sampleRecord(directories, "0".repeat(64), "web");
  const sentry = new FakeSentry(record.spec, { log: () => {} });
  const nothing = openSync("/dev/null", "r+");
  const main = sentry.start(
    { ...PROCESS, argv: ["sleep", "1000"], uid: 0, gid: 0, groups: [] },
    { stdin: nothing, stdout: nothing, stderr: nothing },
  );
  closeSync(nothing);
  if ("errno" in main) throw new Error(main.message);
  const path = join(directories.run, "control.sock");
  const server = new ControlServer(path, {
    sentry,
    main,
    streams: { join: () => false },
    willStop: () => {},
  });
  t.teardown(() => {
    server.finish({ code: 0 });
    sentry.close();
  });
  return { path, sentry };
}

/** A connection on which bytes were sent that need not be frames. */
function sendRaw(path: string, bytes: Uint8Array, descriptors: readonly number[]): number {
  const fd = connectUnix(path);
  if (fd instanceof Errno) throw new Error(fd.text);
  sendWithDescriptors(fd, bytes, descriptors);
  return fd;
}

async function isAlive(path: string): Promise<boolean> {
  const client = ControlClient.ask(path, { op: "top" });
  const reply = await client.next();
  client.close();
  return reply?.kind === "top" && reply.processes.some(({ command }) => command === "sleep 1000");
}

test("whatever bytes and descriptors a client sends, the container goes on", async (t) => {
  const { path } = served(t);
  const nothing = openSync("/dev/null", "r+");
  // No descriptor of an epoll instance can be waited for by another that it would wait for, or too deep.
  const odd = [nothing, openSync("/", "r"), new EpollReactor().fd];
  const frame = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.json().map((text) => {
      const body = Buffer.from(text);
      const header = Buffer.alloc(4);
      header.writeUInt32LE(body.length);
      return Buffer.concat([header, body]);
    }),
    fc
      .constantFrom(...REQUESTS.filter(({ op }) => op !== "kill" && op !== "stop"))
      .map(encodeFrame),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(frame, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 0, max: 8 }),
      async (frames, descriptors) => {
        const bytes = Buffer.concat(frames);
        if (bytes.length === 0) return;
        const fd = sendRaw(
          path,
          bytes,
          Array.from({ length: descriptors }, (_, i) => odd[i % odd.length] ?? nothing),
        );
        await new Promise((resolve) => setTimeout(resolve, 1));
        close(fd);
      },
    ),
    { numRuns: 60 },
  );
  closeSync(nothing);
  t.true(await isAlive(path));
});

test("an exec writes to the very descriptors the client sent", async (t) => {
  const { path } = served(t);
  const ends = pipe(0);
  if (ends instanceof Errno) throw new Error(ends.text);
  const [readEnd, writeEnd] = ends;
  const nothing = openSync("/dev/null", "r+");
  const process = { ...PROCESS, argv: ["echo", "through"] };
  const client = ControlClient.ask(path, { op: "exec", process }, [nothing, writeEnd, nothing]);
  close(writeEnd);
  t.is((await client.next())?.kind, "started");
  t.deepEqual(await client.next(), { kind: "exited", status: { code: 0 } });
  client.close();
  const room = Buffer.alloc(64);
  const length = readBytes(readEnd, room);
  t.is(room.toString("utf8", 0, typeof length === "number" ? length : 0), "through\n");
  // The end of the pipe: the server has not kept its copy.
  t.is(readBytes(readEnd, room), 0);
  close(readEnd);
  closeSync(nothing);
});

test("an exec with the wrong number of descriptors is refused", async (t) => {
  const { path } = served(t);
  const client = ControlClient.ask(path, { op: "exec", process: PROCESS });
  t.like(await client.next(), { kind: "error", exitCode: 125 });
  client.close();
});

test("clients beyond the limit are turned away, and there is room again when others leave", async (t) => {
  const { path } = served(t);
  const clients: ControlClient[] = [];
  for (let i = 0; i < CONNECTIONS_MAX + 16; i++) {
    clients.push(ControlClient.ask(path, { op: "wait" }));
    // The server is this very process: it needs a turn before its queue of connections is full.
    if (i % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const last = clients.at(-1);
  t.is(await last?.next(), undefined);
  for (const client of clients) client.close();
  t.true(await until(() => isAlive(path)));
});
