import test from "ava";
import { SIGPIPE, SIGUSR1 } from "../../../sentry/abi/signal.ts";
import { memfdFile } from "../../../sentry/fs/memfd.ts";
import { RLIMIT_NOFILE } from "../../../sentry/kernel/limits.ts";
import { sendToTask } from "../../../sentry/kernel/send-signal.ts";
import { sentBy } from "../../../sentry/kernel/siginfo.ts";
import { must } from "./fixtures.ts";
import { Guest } from "./guest.ts";

const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const POLLIN = 1;
const POLLOUT = 4;

test("a read of an empty pipe waits, and completes when another call writes", (t) => {
  const guest = new Guest();
  const [reader, writer] = guest.pipe();
  const at = guest.alloc(16);
  t.is(guest.call("read", reader, at, 16), "parked");
  const other = new Guest({ kernel: guest.kernel, pid: 3 });
  other.task.files = guest.task.files;
  t.is(other.write(writer, "hello"), 5);
  t.is(guest.result, undefined);
  guest.reactor.turn(0);
  t.is(guest.result, 5);
  t.is(guest.text(at, 5), "hello");
});

test("a large write waits for room and reports what was written when a signal interrupts it", (t) => {
  const guest = new Guest();
  const [reader, writer] = guest.pipe();
  const length = 200_000;
  const data = guest.alloc("x".repeat(length));
  t.is(guest.call("write", writer, data, length), "parked");
  const other = new Guest({ kernel: guest.kernel, pid: 3 });
  other.task.files = guest.task.files;
  let received = 0;
  while (guest.result === undefined) {
    received += other.read(reader, 65536).length;
    guest.reactor.turn(0);
  }
  t.is(guest.result, length);
  t.true(received >= length - 65536);
  while (received < length) received += other.read(reader, 65536).length;

  guest.handle(SIGUSR1);
  t.is(guest.call("write", writer, data, length), "parked");
  sendToTask(guest.task, sentBy(SIGUSR1, 0, 1, 0));
  t.is(guest.result, 65536);
  guest.reactor.turn(0);
  t.is(guest.delivered.length, 1);
});

test("a signal restarts a read, ends poll for handlers only, and always ends epoll_wait", (t) => {
  const guest = new Guest();
  const [reader] = guest.pipe();
  const epoll = guest.call("epoll_create1", 0) as number;
  guest.handle(SIGUSR1);
  const fds = guest.alloc(8);
  const outcomes: (number | string | undefined)[] = [];
  for (const start of [
    () => guest.call("read", reader, guest.alloc(8), 8),
    () => guest.call("poll", fds, 0, -1),
    () => guest.call("epoll_wait", epoll, guest.alloc(16), 1, -1),
  ]) {
    t.is(start(), "parked");
    sendToTask(guest.task, sentBy(SIGUSR1, 0, 1, 0));
    outcomes.push(guest.result);
    guest.reactor.turn(0);
  }
  t.deepEqual(outcomes, ["ERESTARTSYS", "ERESTARTNOHAND", "EINTR"]);
});

test("writing to a pipe nobody reads raises SIGPIPE and answers EPIPE", (t) => {
  const guest = new Guest();
  guest.handle(SIGPIPE);
  const [reader, writer] = guest.pipe();
  guest.call("close", reader);
  t.is(guest.write(writer, "x"), "EPIPE");
  guest.reactor.turn(0);
  t.deepEqual(
    guest.delivered.map(({ signo }) => signo),
    [SIGPIPE],
  );
});

test("a descriptor closed during a read stays readable for the call that waits", (t) => {
  const guest = new Guest();
  const [reader, writer] = guest.pipe();
  const at = guest.alloc(4);
  t.is(guest.call("read", reader, at, 4), "parked");
  const other = new Guest({ kernel: guest.kernel, pid: 3 });
  other.task.files = guest.task.files;
  t.is(other.call("close", reader), 0);
  t.is(other.write(writer, "late"), 4);
  guest.reactor.turn(0);
  t.is(guest.result, 4);
  other.handle(SIGPIPE);
  t.is(other.write(writer, "more"), "EPIPE");
});

test("a transfer larger than a call's buffer goes piece by piece", (t) => {
  const guest = new Guest();
  const file = must(memfdFile(guest.task, "file", false));
  const memfd = must(guest.task.files.install(file, { cloexec: false, limit: 100 }));
  const text = Array.from({ length: 30_000 }, (_, i) => `line ${i}\n`).join("");
  const at = guest.alloc(text);
  t.is(guest.call("write", memfd, at, text.length), text.length);
  t.is(guest.call("pwrite64", memfd, at, text.length, 7), text.length);
  const back = guest.alloc(text.length + 100);
  t.is(guest.call("pread64", memfd, back, text.length + 100, 7), text.length);
  t.is(guest.text(back, text.length), text);
  t.is(guest.call("lseek", memfd, 0, 0), 0);
  t.is(guest.call("read", memfd, back, text.length + 100), text.length + 7);
  t.is(guest.text(back + 7, text.length), text);

  const [reader, writer] = guest.pipe();
  const sibling = guest.sibling();
  t.is(sibling.call("write", writer, sibling.alloc(text), text.length), "parked");
  let received = "";
  while (received.length < text.length) {
    received += guest.read(reader, 100_000);
    guest.reactor.turn(0);
  }
  t.is(received, text);
  t.is(sibling.result, text.length);
});

test("poll of one descriptor a hundred thousand times over is quick work", (t) => {
  const guest = new Guest();
  const [reader, writer] = guest.pipe();
  const fds = Buffer.alloc(8 * 100_000);
  for (let i = 0; i < 100_000; i++) fds.writeInt32LE(reader, i * 8);
  for (let i = 0; i < 100_000; i++) fds.writeUInt16LE(POLLIN, i * 8 + 4);
  const room = { cur: 100_000n, max: 100_000n };
  guest.task.process.limits.set(RLIMIT_NOFILE, room, false);
  t.is(guest.call("poll", guest.alloc(fds), 100_000, -1), "parked");
  guest.sibling().write(writer, "x");
  guest.reactor.turn(0);
  t.is(guest.result, 100_000);
});

test("readv and writev move vectors, and preadv refuses a pipe", (t) => {
  const guest = new Guest();
  const [reader, writer] = guest.pipe();
  const vectors = (...lengths: [number, number][]) => {
    const raw = new BigUint64Array(lengths.flat().map(BigInt));
    return guest.alloc(new Uint8Array(raw.buffer));
  };
  const [a, b] = [guest.alloc("abc"), guest.alloc("defgh")];
  t.is(guest.call("writev", writer, vectors([a, 3], [0, 0], [b, 5]), 3), 8);
  const [c, d] = [guest.alloc(2), guest.alloc(32)];
  t.is(guest.call("readv", reader, vectors([c, 2], [d, 32]), 2), 8);
  t.is(guest.text(c, 2) + guest.text(d, 6), "abcdefgh");
  t.is(guest.call("readv", reader, 0, 1025), "EINVAL");
  t.is(guest.call("readv", reader, 8, 1), "EFAULT");
  t.is(guest.call("preadv", reader, vectors([c, 2]), 1, 0), "ESPIPE");
  t.is(guest.call("preadv", reader, vectors([c, 2]), 1, -1), "EINVAL");
  t.is(guest.call("readv", writer, vectors([c, 2]), 1), "EBADF");
});

test("dup, fcntl and close_range do to descriptors what their man pages say", (t) => {
  const guest = new Guest();
  const [reader, writer] = guest.pipe(O_CLOEXEC);
  t.is(guest.call("fcntl", reader, 1, 0), 1);
  t.is(guest.call("dup", reader), 2);
  t.is(guest.call("fcntl", 2, 1, 0), 0);
  t.is(guest.call("fcntl", reader, 1030, 10), 10);
  t.is(guest.call("dup2", writer, 10), 10);
  t.is(guest.call("dup2", 99, 99), "EBADF");
  t.is(guest.call("dup3", writer, writer, 0), "EINVAL");
  t.is(guest.call("dup3", writer, 11, O_CLOEXEC), 11);
  t.is(guest.call("fcntl", reader, 0, -1), "EINVAL");
  t.is(guest.call("fcntl", reader, 4, O_NONBLOCK), 0);
  t.is(guest.call("fcntl", 2, 3, 0), O_NONBLOCK);
  t.is(guest.read(2), "!EAGAIN");
  t.is(guest.call("fcntl", reader, 1032, 0), 65536);
  t.is(guest.call("fcntl", reader, 999, 0), "EINVAL");
  t.is(guest.call("close_range", 10, 11, 4), 0);
  t.is(guest.call("fcntl", 10, 1, 0), 1);
  t.is(guest.call("close_range", 2, 0xffffffff, 0), 0);
  t.is(guest.call("close", 10), "EBADF");
  t.is(guest.call("close", reader), 0);
  t.is(guest.call("close_range", 5, 4, 0), "EINVAL");
});

test("poll reports each descriptor, waits for one of them and gives up in time", (t) => {
  const guest = new Guest();
  const [reader, writer] = guest.pipe();
  const fds = Buffer.alloc(32);
  [reader, writer, -1, 77].forEach((fd, i) => {
    fds.writeInt32LE(fd, i * 8);
    fds.writeUInt16LE(POLLIN | POLLOUT, i * 8 + 4);
  });
  const at = guest.alloc(fds);
  const revents = () => [0, 1, 2, 3].map((i) => guest.i32(at + i * 8 + 4) >>> 16);
  t.is(guest.call("poll", at, 4, -1), 2);
  t.deepEqual(revents(), [0, POLLOUT, 0, 0x20]);
  t.is(guest.call("poll", at, 1, 0), 0);
  t.is(guest.call("poll", at, 1, 5), "parked");
  while (guest.result === undefined) guest.reactor.turn();
  t.is(guest.result, 0);
  t.is(guest.call("poll", at, 1, -1), "parked");
  const other = new Guest({ kernel: guest.kernel, pid: 3 });
  other.task.files = guest.task.files;
  other.write(writer, "x");
  guest.reactor.turn(0);
  t.is(guest.result, 1);
  t.deepEqual(revents().slice(0, 1), [POLLIN]);
});

test("select stores its sets and the time that is left", (t) => {
  const guest = new Guest();
  const [reader, writer] = guest.pipe();
  const set = (...bits: number[]) => {
    const bytes = Buffer.alloc(8);
    for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
    return guest.alloc(bytes);
  };
  const [reads, writes] = [set(reader), set(writer)];
  t.is(guest.call("select", 3, reads, writes, 0, 0), 1);
  t.is(guest.u64(reads), 0n);
  t.is(guest.u64(writes), BigInt(1 << writer));
  t.is(guest.call("select", 8, set(7), 0, 0, 0), "EBADF");
  t.is(guest.call("select", -1, 0, 0, 0, 0), "EINVAL");
  const only = set(reader);
  const timeout = guest.alloc(new Uint8Array(new BigInt64Array([0n, 3000n]).buffer));
  t.is(guest.call("select", 2, only, 0, 0, timeout), "parked");
  while (guest.result === undefined) guest.reactor.turn();
  t.is(guest.result, 0);
  t.is(guest.u64(only), 0n);
  t.is(guest.u64(timeout + 8), 0n);
});

test("epoll, eventfd, timerfd and signalfd work together", (t) => {
  const guest = new Guest();
  const epoll = guest.call("epoll_create1", 0) as number;
  const event = guest.call("eventfd2", 0, O_NONBLOCK) as number;
  const timer = guest.call("timerfd_create", 1, O_NONBLOCK) as number;
  guest.mask = 1n << BigInt(SIGUSR1 - 1);
  const mask = guest.alloc(new Uint8Array(new BigUint64Array([guest.mask]).buffer));
  const signals = guest.call("signalfd4", -1, mask, 8, O_NONBLOCK) as number;
  for (const fd of [event, timer, signals]) {
    const registration = Buffer.alloc(12);
    registration.writeUInt32LE(POLLIN, 0);
    registration.writeUInt32LE(fd, 4);
    t.is(guest.call("epoll_ctl", epoll, 1, fd, guest.alloc(registration)), 0);
  }
  const reports = guest.alloc(12 * 4);
  t.is(guest.call("epoll_wait", epoll, reports, 4, 0), 0);
  t.is(guest.write(event, "\x02\0\0\0\0\0\0\0"), 8);
  t.is(guest.call("epoll_wait", epoll, reports, 4, 0), 1);
  t.is(guest.i32(reports + 4), event);
  t.is(guest.read(event, 8), "\x02\0\0\0\0\0\0\0");

  t.is(guest.call("epoll_wait", epoll, reports, 4, -1), "parked");
  sendToTask(guest.task, sentBy(SIGUSR1, 0, 42, 7));
  guest.reactor.turn(0);
  t.is(guest.result, 1);
  t.is(guest.i32(reports + 4), signals);
  const info = Buffer.from(guest.read(signals, 300), "latin1");
  t.is(info.length, 128);
  t.deepEqual(
    [info.readUInt32LE(0), info.readUInt32LE(12), info.readUInt32LE(16)],
    [SIGUSR1, 42, 7],
  );
  t.is(guest.read(signals, 128), "!EAGAIN");

  const soon = new Uint8Array(new BigInt64Array([0n, 0n, 0n, 1_000_000n]).buffer);
  t.is(guest.call("timerfd_settime", timer, 0, guest.alloc(soon), 0), 0);
  // On a busy machine it has expired by now.
  const waited = guest.call("epoll_wait", epoll, reports, 4, 60_000);
  while (waited === "parked" && guest.result === undefined) guest.reactor.turn();
  t.is(waited === "parked" ? guest.result : waited, 1);
  t.is(guest.i32(reports + 4), timer);
  t.is(guest.read(timer, 8), "\x01\0\0\0\0\0\0\0");
  t.is(guest.call("epoll_wait", event, reports, 4, 0), "EINVAL");
  t.is(guest.call("epoll_wait", epoll, reports, 0, 0), "EINVAL");
});

test("splice and tee move data from pipe to pipe and wait for it", (t) => {
  const guest = new Guest();
  const [r1, w1] = guest.pipe();
  const [r2, w2] = guest.pipe();
  guest.write(w1, "abcdef");
  t.is(guest.call("tee", r1, w2, 3, 0), 3);
  t.is(guest.read(r2), "abc");
  t.is(guest.call("splice", r1, 0, w2, 0, 100, 0), 6);
  t.is(guest.read(r2), "abcdef");
  t.is(guest.call("splice", r1, 0, w2, 0, 100, 2), "EAGAIN");
  t.is(guest.call("splice", r1, 0, w2, 0, 100, 0), "parked");
  const other = new Guest({ kernel: guest.kernel, pid: 3 });
  other.task.files = guest.task.files;
  other.write(w1, "later");
  guest.reactor.turn(0);
  t.is(guest.result, 5);
  t.is(guest.call("sendfile", w2, r1, 0, 10), "EINVAL");
  t.is(guest.call("splice", r1, guest.alloc(8), w2, 0, 1, 0), "ESPIPE");
});
