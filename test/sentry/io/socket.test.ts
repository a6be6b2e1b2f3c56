import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import test from "ava";
import { S_IFSOCK } from "../../../sentry/abi/file.ts";
import { ipv4 } from "../../../sentry/abi/ip.ts";
import { HostFs } from "../../../sentry/fs/host.ts";
import type { NetworkOptions } from "../../../sentry/net/namespace.ts";
import { FsContext } from "../../../sentry/vfs/fs-context.ts";
import { inodeAt, MountNamespace } from "../../../sentry/vfs/mount.ts";
import { unlink } from "../../../sentry/vfs/namei.ts";
import { lookup } from "../../../sentry/vfs/resolve.ts";
import { scratch } from "../fs/fixture.ts";
import { Guest } from "./guest.ts";

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const STREAM = 1;
const DGRAM = 2;
const SEQPACKET = 5;
const NONBLOCK = 0o4000;
const DONTWAIT = 0x40;

function unixAddress(guest: Guest, path: string): [number, number] {
  const bytes = `\x01\0${path}`;
  return [guest.alloc(bytes), bytes.length];
}

function inetAddress(
  guest: Guest,
  port: number,
  host: readonly number[] = [127, 0, 0, 1],
): [number, number] {
  return [
    guest.alloc(Uint8Array.of(2, 0, port >> 8, port & 255, ...host, 0, 0, 0, 0, 0, 0, 0, 0)),
    16,
  ];
}

function inet6Address(guest: Guest, port: number, ip: string): [number, number] {
  const head = Uint8Array.of(10, 0, port >> 8, port & 255, 0, 0, 0, 0);
  return [guest.alloc(Buffer.concat([head, Buffer.from(ip, "latin1"), Buffer.alloc(4)])), 28];
}

/** `getsockname` or `getpeername`. */
function nameOf(guest: Guest, call: "getsockname" | "getpeername", fd: number): Buffer | string {
  const at = guest.alloc(128);
  const length = guest.alloc(Uint8Array.of(128, 0, 0, 0));
  const result = guest.call(call, fd, at, length);
  return result === 0 ? Buffer.from(guest.text(at, guest.i32(length)), "latin1") : String(result);
}

function portOf(guest: Guest, fd: number): number {
  const name = nameOf(guest, "getsockname", fd);
  return typeof name === "string" ? -1 : name.readUInt16BE(2);
}

function fd(result: number | string): number {
  if (typeof result !== "number") throw new Error(`Unexpected ${result}`);
  return result;
}

function pair(guest: Guest, type: number): [number, number] {
  const at = guest.alloc(8);
  fd(guest.call("socketpair", AF_UNIX, type, 0, at));
  return [guest.i32(at), guest.i32(at + 4)];
}

function option(guest: Guest, socket: number, level: number, name: number): number | string {
  const at = guest.alloc(16);
  const result = guest.call(
    "getsockopt",
    socket,
    level,
    name,
    at,
    guest.alloc(Uint8Array.of(4, 0, 0, 0)),
  );
  return result === 0 ? guest.i32(at) : result;
}

function setOption(
  guest: Guest,
  socket: number,
  level: number,
  name: number,
  value: number,
): number | string {
  const at = guest.alloc(new Uint8Array(Int32Array.of(value).buffer));
  return guest.call("setsockopt", socket, level, name, at, 4);
}

/** A `struct msghdr` in guest memory. */
function header(guest: Guest, text: string | number, control: Uint8Array | number = 0) {
  const length = typeof text === "number" ? text : text.length;
  const buffer = guest.alloc(text as string);
  const iov = guest.alloc(new Uint8Array(BigUint64Array.of(BigInt(buffer), BigInt(length)).buffer));
  const controlLength = typeof control === "number" ? control : control.length;
  const controlAt = controlLength === 0 ? 0 : guest.alloc(control as number);
  const raw = Buffer.alloc(56);
  raw.writeBigUInt64LE(BigInt(iov), 16);
  raw.writeBigUInt64LE(1n, 24);
  raw.writeBigUInt64LE(BigInt(controlAt), 32);
  raw.writeBigUInt64LE(BigInt(controlLength), 40);
  const at = guest.alloc(raw);
  return {
    at,
    text: (count: number) => guest.text(buffer, count),
    control: () => Buffer.from(guest.text(controlAt, Number(guest.u64(at + 40))), "latin1"),
    flags: () => guest.i32(at + 48),
  };
}

function cmsg(type: number, ...values: number[]): Uint8Array {
  const out = Buffer.alloc(Math.ceil((16 + values.length * 4) / 8) * 8);
  out.writeBigUInt64LE(BigInt(16 + values.length * 4), 0);
  out.writeInt32LE(1, 8);
  out.writeInt32LE(type, 12);
  values.forEach((value, i) => {
    out.writeInt32LE(value, 16 + i * 4);
  });
  return out;
}

test("a socket pair carries bytes both ways, and its peer's end is the end of the file", (t) => {
  const guest = new Guest();
  const [a, b] = pair(guest, STREAM);
  t.is(guest.write(a, "ping"), 4);
  t.is(guest.read(b), "ping");
  t.is(guest.write(b, "pong"), 4);
  t.is(guest.call("shutdown", b, 1), 0);
  t.is(guest.read(a), "pong");
  t.is(guest.read(a), "");
  guest.handle(13);
  t.is(guest.write(b, "x"), "EPIPE");
  t.is(guest.call("close", a), 0);
  t.is(guest.read(b), "");
});

test("packets keep their boundaries and say when they were cut", (t) => {
  const guest = new Guest();
  for (const type of [SEQPACKET, DGRAM]) {
    const [a, b] = pair(guest, type);
    guest.write(a, "first");
    guest.write(a, "second");
    const message = header(guest, 3);
    t.is(guest.call("recvmsg", b, message.at, 0), 3);
    t.is(message.text(3), "fir");
    t.is(message.flags() & 0x20, 0x20);
    const whole = guest.alloc(3);
    t.is(guest.call("recvfrom", b, whole, 3, 0x20, 0, 0), 6);
    t.is(guest.call("recvfrom", b, whole, 3, DONTWAIT, 0, 0), "EAGAIN");
  }
});

test("open files travel by SCM_RIGHTS with exactly the bytes they were sent with", (t) => {
  const guest = new Guest();
  const [reader, writer] = guest.pipe();
  for (const type of [STREAM, DGRAM, SEQPACKET]) {
    const [a, b] = pair(guest, type);
    guest.write(a, "before");
    t.is(guest.call("sendmsg", a, header(guest, "with", cmsg(1, writer, reader)).at, 0), 4);
    t.is(guest.read(b, 6), "before");
    const message = header(guest, 100, 64);
    t.is(guest.call("recvmsg", b, message.at, 0x40000000), 4);
    const control = message.control();
    t.is(control.readBigUInt64LE(0), 24n);
    const [sentWriter, sentReader] = [control.readInt32LE(16), control.readInt32LE(20)];
    t.is(guest.call("fcntl", sentWriter, 1, 0), 1);
    t.is(guest.write(sentWriter, "through"), 7);
    t.is(guest.read(sentReader), "through");
    for (const open of [a, b, sentWriter, sentReader]) guest.call("close", open);
  }
  t.is(guest.call("close", writer), 0);
  t.is(guest.read(reader), "");
});

test("files on their way are closed when nobody can receive them any more", (t) => {
  const guest = new Guest();
  const [reader, writer] = guest.pipe();
  const [a, b] = pair(guest, STREAM);
  guest.call("sendmsg", a, header(guest, "x", cmsg(1, writer)).at, 0);
  guest.call("close", writer);
  t.is(guest.call("read", reader, guest.alloc(4), 4), "parked");
  const sibling = guest.sibling();
  sibling.call("close", a);
  sibling.call("close", b);
  t.is(guest.finish(), 0);

  const [c, d] = pair(guest, STREAM);
  const second = guest.pipe();
  guest.call("sendmsg", c, header(guest, "x", cmsg(1, second[1])).at, 0);
  guest.call("close", second[1]);
  t.is(guest.read(d), "x");
  guest.reactor.turn(0);
  t.is(guest.read(second[0]), "");
});

test("credentials are the container's, told when asked for and checked when claimed", (t) => {
  const guest = new Guest({ pid: 7 });
  const [a, b] = pair(guest, DGRAM);
  t.is(setOption(guest, b, 1, 16, 1), 0);
  t.is(guest.write(a, "who"), 3);
  const message = header(guest, 10, 64);
  t.is(guest.call("recvmsg", b, message.at, 0), 3);
  const control = message.control();
  t.is(control.readInt32LE(12), 2);
  t.deepEqual(
    [16, 20, 24].map((at) => control.readInt32LE(at)),
    [7, 0, 0],
  );
  t.is(option(guest, a, 1, 17), 7);
  guest.task.credentials = {
    ...guest.task.credentials,
    ruid: 5,
    euid: 5,
    suid: 5,
    capabilities: 0n,
  };
  t.is(guest.call("sendmsg", a, header(guest, "x", cmsg(2, 1, 0, 0)).at, 0), "EPERM");
  t.is(guest.call("sendmsg", a, header(guest, "x", cmsg(2, 7, 5, 0)).at, 0), 1);
  t.is(guest.call("sendmsg", a, header(guest, "x", cmsg(1, 99)).at, 0), "EBADF");
});

test("a path names a socket as long as the node is there and the socket open", (t) => {
  const guest = new Guest();
  const server = fd(guest.call("socket", AF_UNIX, STREAM, 0));
  t.is(guest.call("listen", server, 1), "EINVAL");
  t.is(guest.call("bind", server, ...unixAddress(guest, "/sock\0")), 0);
  const place = lookup(guest.task, guest.task.fs.cwd, "/sock");
  t.is("dentry" in place ? inodeAt(place).mode & 0o170000 : 0, S_IFSOCK);
  const other = fd(guest.call("socket", AF_UNIX, STREAM, 0));
  t.is(guest.call("bind", other, ...unixAddress(guest, "/sock")), "EADDRINUSE");
  t.is(guest.call("connect", other, ...unixAddress(guest, "/nothing")), "ENOENT");
  t.is(guest.call("connect", other, ...unixAddress(guest, "/sock")), "ECONNREFUSED");
  t.is(guest.call("listen", server, 0), 0);
  t.is(guest.call("connect", other, ...unixAddress(guest, "/sock")), 0);
  t.deepEqual(nameOf(guest, "getpeername", other), Buffer.from("\x01\0/sock\0", "latin1"));
  const full = fd(guest.call("socket", AF_UNIX, STREAM | NONBLOCK, 0));
  t.is(guest.call("connect", full, ...unixAddress(guest, "/sock")), "EAGAIN");
  const waiting = guest.sibling();
  const patient = fd(waiting.call("socket", AF_UNIX, STREAM, 0));
  t.is(waiting.call("connect", patient, ...unixAddress(waiting, "/sock")), "parked");
  const accepted = fd(guest.call("accept4", server, 0, 0, 0o2000000));
  t.is(waiting.finish(), 0);
  guest.write(other, "hello");
  t.is(guest.read(accepted), "hello");
  t.deepEqual(nameOf(guest, "getsockname", accepted), Buffer.from("\x01\0/sock\0", "latin1"));
  t.deepEqual(nameOf(guest, "getpeername", accepted), Buffer.from("\x01\0", "latin1"));
  t.is(unlink(guest.task, guest.task.fs.cwd, "/sock"), undefined);
  t.is(guest.call("connect", full, ...unixAddress(guest, "/sock")), "ENOENT");
  t.is(guest.call("close", server), 0);
  t.is(guest.read(patient), "!ECONNRESET");
});

test("abstract names are the container's own and free when the socket is gone", (t) => {
  const guest = new Guest();
  const stranger = new Guest();
  const server = fd(guest.call("socket", AF_UNIX, DGRAM, 0));
  t.is(guest.call("bind", server, ...unixAddress(guest, "\0name")), 0);
  const outside = fd(stranger.call("socket", AF_UNIX, DGRAM, 0));
  t.is(stranger.call("connect", outside, ...unixAddress(stranger, "\0name")), "ECONNREFUSED");
  const client = fd(guest.call("socket", AF_UNIX, DGRAM, 0));
  t.is(guest.call("bind", client, guest.alloc("\x01\0"), 2), 0);
  const auto = nameOf(guest, "getsockname", client);
  t.regex(auto.toString("latin1").slice(3), /^[0-9a-f]{5}$/);
  t.is(guest.call("connect", client, ...unixAddress(guest, "\0name")), 0);
  t.is(guest.write(client, "datagram"), 8);
  const [at, from, length] = [
    guest.alloc(20),
    guest.alloc(128),
    guest.alloc(Uint8Array.of(128, 0, 0, 0)),
  ];
  t.is(guest.call("recvfrom", server, at, 20, 0, from, length), 8);
  t.is(guest.text(from, guest.i32(length)), auto.toString("latin1"));
  const third = fd(guest.call("socket", AF_UNIX, STREAM, 0));
  t.is(guest.call("connect", third, ...unixAddress(guest, "\0name")), "EPROTOTYPE");
  guest.call("close", server);
  t.is(guest.write(client, "x"), "ECONNREFUSED");
  t.is(
    guest.call(
      "bind",
      fd(guest.call("socket", AF_UNIX, DGRAM, 0)),
      ...unixAddress(guest, "\0name"),
    ),
    0,
  );
});

test("TCP on loopback: bind, listen, connect, accept, names and the end", (t) => {
  const guest = new Guest();
  const server = fd(guest.call("socket", AF_INET, STREAM, 0));
  t.is(guest.call("bind", server, ...inetAddress(guest, 8080, [0, 0, 0, 0])), 0);
  const second = fd(guest.call("socket", AF_INET, STREAM, 0));
  t.is(guest.call("bind", second, ...inetAddress(guest, 8080)), "EADDRINUSE");
  t.is(guest.call("bind", second, ...inetAddress(guest, 1, [10, 9, 8, 7])), "EADDRNOTAVAIL");
  const client = fd(guest.call("socket", AF_INET, STREAM, 0));
  t.is(guest.call("connect", client, ...inetAddress(guest, 8080)), "ECONNREFUSED");
  t.is(guest.call("listen", server, 5), 0);
  t.is(option(guest, server, 1, 30), 1);
  const accepting = guest.sibling();
  const [peer, length] = [accepting.alloc(16), accepting.alloc(Uint8Array.of(16, 0, 0, 0))];
  t.is(accepting.call("accept", server, peer, length), "parked");
  t.is(guest.call("connect", client, ...inetAddress(guest, 8080)), 0);
  const accepted = fd(accepting.finish());
  const port = portOf(guest, client);
  t.true(port >= 32768 && port <= 60999);
  t.is(Buffer.from(accepting.text(peer, 8), "latin1").readUInt16BE(2), port);
  t.is(portOf(guest, accepted), 8080);
  t.is(guest.call("connect", client, ...inetAddress(guest, 8080)), "EISCONN");
  guest.write(client, "request");
  t.is(guest.read(accepted), "request");
  guest.write(accepted, "unread");
  guest.call("close", client);
  t.is(guest.read(accepted), "!ECONNRESET");
  t.is(guest.read(accepted), "");
  t.is(setOption(guest, server, 6, 1, 1), 0);
  t.is(option(guest, server, 6, 1), 1);
  t.is(option(guest, server, 1, 3), STREAM);
  t.is(option(guest, server, 99, 1), "ENOPROTOOPT");
});

test("a nonblocking connect is in progress first and tells its outcome by SO_ERROR", (t) => {
  const guest = new Guest();
  const server = fd(guest.call("socket", AF_INET, STREAM, 0));
  guest.call("listen", server, 5);
  const port = portOf(guest, server);
  const client = fd(guest.call("socket", AF_INET, STREAM | NONBLOCK, 0));
  const epoll = fd(guest.call("epoll_create1", 0));
  const registration = guest.alloc(Uint8Array.of(4, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0));
  t.is(guest.call("epoll_ctl", epoll, 1, client, registration), 0);
  const reports = guest.alloc(24);
  t.is(guest.call("epoll_wait", epoll, reports, 2, 0), 1);
  t.is(guest.call("connect", client, ...inetAddress(guest, port)), "EINPROGRESS");
  t.is(guest.call("epoll_wait", epoll, reports, 2, 0), 1);
  t.is(guest.i32(reports), 4);
  t.is(option(guest, client, 1, 4), 0);
  t.is(guest.call("connect", client, ...inetAddress(guest, port)), "EISCONN");
  const refused = fd(guest.call("socket", AF_INET, STREAM | NONBLOCK, 0));
  t.is(guest.call("connect", refused, ...inetAddress(guest, 1)), "EINPROGRESS");
  t.is(option(guest, refused, 1, 4), 111);
  t.is(option(guest, refused, 1, 4), 0);
});

test("one IPv6 socket serves both protocols unless it is IPv6 only", (t) => {
  const guest = new Guest();
  const loopback6 = `${"\0".repeat(15)}\x01`;
  const server = fd(guest.call("socket", AF_INET6, STREAM, 0));
  t.is(guest.call("bind", server, ...inet6Address(guest, 9000, "\0".repeat(16))), 0);
  guest.call("listen", server, 5);
  const v4 = fd(guest.call("socket", AF_INET, STREAM, 0));
  t.is(guest.call("connect", v4, ...inetAddress(guest, 9000)), 0);
  const accepted = fd(guest.call("accept", server, 0, 0));
  const peer = nameOf(guest, "getpeername", accepted) as Buffer;
  t.is(peer.toString("latin1", 8, 24), ipv4(127, 0, 0, 1));
  const v6 = fd(guest.call("socket", AF_INET6, STREAM, 0));
  t.is(guest.call("connect", v6, ...inet6Address(guest, 9000, loopback6)), 0);
  const mapped = fd(guest.call("socket", AF_INET6, STREAM, 0));
  t.is(guest.call("connect", mapped, ...inet6Address(guest, 9000, ipv4(127, 0, 0, 1))), 0);

  const only = fd(guest.call("socket", AF_INET6, STREAM, 0));
  t.is(setOption(guest, only, 41, 26, 1), 0);
  t.is(guest.call("bind", only, ...inet6Address(guest, 9001, "\0".repeat(16))), 0);
  guest.call("listen", only, 5);
  const refused = fd(guest.call("socket", AF_INET, STREAM, 0));
  t.is(guest.call("connect", refused, ...inetAddress(guest, 9001)), "ECONNREFUSED");
  t.is(
    guest.call("bind", fd(guest.call("socket", AF_INET, STREAM, 0)), ...inetAddress(guest, 9001)),
    0,
  );
});

test("UDP on loopback tells who sent, and connected sockets hear only their peer", (t) => {
  const guest = new Guest();
  const server = fd(guest.call("socket", AF_INET, DGRAM, 0));
  t.is(guest.call("bind", server, ...inetAddress(guest, 5353, [0, 0, 0, 0])), 0);
  const client = fd(guest.call("socket", AF_INET, DGRAM, 0));
  const data = guest.alloc("query");
  t.is(guest.call("sendto", client, data, 5, 0, 0, 0), "EDESTADDRREQ");
  t.is(guest.call("sendto", client, data, 5, 0, ...inetAddress(guest, 5353)), 5);
  const [at, from, length] = [
    guest.alloc(20),
    guest.alloc(16),
    guest.alloc(Uint8Array.of(16, 0, 0, 0)),
  ];
  t.is(guest.call("recvfrom", server, at, 20, 0, from, length), 5);
  t.is(Buffer.from(guest.text(from, 4), "latin1").readUInt16BE(2), portOf(guest, client));
  t.is(guest.call("sendto", server, data, 5, 0, from, 16), 5);
  t.is(guest.read(client), "query");

  t.is(guest.call("connect", client, ...inetAddress(guest, 5353)), 0);
  const stranger = fd(guest.call("socket", AF_INET, DGRAM, 0));
  guest.call("sendto", stranger, data, 5, 0, from, 16);
  t.is(guest.call("recvfrom", client, at, 20, DONTWAIT, 0, 0), "EAGAIN");
  guest.call("close", server);
  t.is(guest.write(client, "lost"), 4);
  t.is(guest.write(client, "lost"), "ECONNREFUSED");
  t.is(
    guest.call("sendto", client, data, 5, 0, ...inetAddress(guest, 1, [192, 0, 2, 1])),
    "ENETUNREACH",
  );
});

test("SO_RCVTIMEO ends a read with EAGAIN, and MSG_WAITALL waits for all of it", (t) => {
  const guest = new Guest();
  const [a, b] = pair(guest, STREAM);
  const timeout = guest.alloc(new Uint8Array(BigInt64Array.of(0n, 2000n).buffer));
  t.is(guest.call("setsockopt", b, 1, 20, timeout, 16), 0);
  t.is(guest.call("read", b, guest.alloc(4), 4), "parked");
  t.is(guest.finish(), "EAGAIN");
  t.is(guest.call("setsockopt", b, 1, 20, guest.alloc(16), 16), 0);
  const at = guest.alloc(8);
  guest.write(a, "four");
  t.is(guest.call("recvfrom", b, at, 8, 0x100, 0, 0), "parked");
  guest.sibling().write(a, "more");
  t.is(guest.finish(), 8);
  t.is(guest.text(at, 8), "fourmore");
});

test("the container's loopback is not the host's, and the way out obeys the policy", async (t) => {
  const server = createServer((socket) => socket.end("from outside"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const target = ipv4(127, 0, 0, 1);

  const closed = new Guest({ network: { mode: "bridge" } });
  const inside = fd(closed.call("socket", AF_INET, STREAM, 0));
  t.is(closed.call("connect", inside, ...inetAddress(closed, port)), "ECONNREFUSED");
  t.is(closed.call("connect", inside, ...inetAddress(closed, port, [192, 0, 2, 1])), "ENETUNREACH");

  const shared: NetworkOptions = { mode: "host" };
  const guest = new Guest({ network: shared });
  const client = fd(guest.call("socket", AF_INET, STREAM, 0));
  const result = guest.call("connect", client, ...inetAddress(guest, port));
  t.is(result === "parked" ? guest.finish() : result, 0);
  const at = guest.alloc(64);
  t.is(guest.call("read", client, at, 64), "parked");
  while (guest.result === undefined) {
    await new Promise((resolve) => setImmediate(resolve));
    guest.reactor.turn(0);
  }
  t.is(guest.text(at, Number(guest.result)), "from outside");
  t.is((nameOf(guest, "getpeername", client) as Buffer).toString("latin1", 4, 8), target.slice(12));
  guest.call("close", client);
  server.close();
});

test("a socket of the host in a bind mount is reached only where the container may", async (t) => {
  const directory = scratch();
  const server = createServer((socket) => socket.on("data", (data) => socket.end(`host: ${data}`)));
  await new Promise<void>((resolve) => server.listen(`${directory.path}/sock`, resolve));
  for (const hostSockets of [false, true]) {
    const files = new MountNamespace(new HostFs({ dirfd: directory.dirfd() }));
    const fs = new FsContext(files.root.rootPath);
    const guest = new Guest({ fs, network: { mode: "none", hostSockets } });
    const client = fd(guest.call("socket", AF_UNIX, STREAM, 0));
    const result = guest.call("connect", client, ...unixAddress(guest, "/sock"));
    t.is(result, hostSockets ? 0 : "ECONNREFUSED");
    const own = fd(guest.call("socket", AF_UNIX, STREAM, 0));
    t.is(guest.call("bind", own, ...unixAddress(guest, `/own${hostSockets}`)), 0);
    if (!hostSockets) continue;
    t.is(guest.write(client, "hello"), 5);
    t.is(guest.call("sendmsg", client, header(guest, "x", cmsg(1, client)).at, 0), "EPERM");
    const at = guest.alloc(64);
    t.is(guest.call("read", client, at, 64), "parked");
    while (guest.result === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
      guest.reactor.turn(0);
    }
    t.is(guest.text(at, Number(guest.result)), "host: hello");
    guest.call("close", client);
  }
  server.close();
  directory.done();
});

test("netlink lists the interfaces and their addresses", (t) => {
  const guest = new Guest();
  const socket = fd(guest.call("socket", 16, 3, 0));
  const request = Buffer.alloc(20);
  request.writeUInt32LE(20, 0);
  request.writeUInt16LE(22, 4);
  request.writeUInt16LE(0x301, 6);
  t.is(guest.call("sendto", socket, guest.alloc(request), 20, 0, 0, 0), 20);
  const answer = Buffer.from(guest.read(socket), "latin1");
  t.is(answer.readUInt16LE(4), 20);
  t.true(answer.includes(Buffer.from([127, 0, 0, 1])));
  t.true(answer.includes(Buffer.from("lo\0", "latin1")));
  t.is(Buffer.from(guest.read(socket), "latin1").readUInt16LE(4), 3);
  t.is(guest.call("socket", 17, 3, 0), "EAFNOSUPPORT");
});
