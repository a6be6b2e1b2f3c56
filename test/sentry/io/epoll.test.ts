import test from "ava";
import {
  EAGAIN,
  EEXIST,
  EINVAL,
  ELOOP,
  ENOENT,
  EPERM,
  type Errno,
} from "../../../sentry/abi/errno.ts";
import { O_RDWR } from "../../../sentry/abi/file.ts";
import { Epoll } from "../../../sentry/fs/event/epoll.ts";
import { EventFile } from "../../../sentry/fs/event/eventfd.ts";
import { makePipe } from "../../../sentry/fs/pipe.ts";
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLONESHOT,
  HostEpoll,
} from "../../../sentry/host/epoll.ts";
import { EpollReactor } from "../../../sentry/host/epoll-reactor.ts";
import { close, eventfd, pipe, readBytes, writeBytes } from "../../../sentry/host/io.ts";
import type { IoBuffer, Transfer } from "../../../sentry/vfs/io-buffer.ts";
import { OpenFile } from "../../../sentry/vfs/open-file.ts";
import { POLLHUP, POLLIN, POLLOUT, WaitQueue } from "../../../sentry/vfs/poll.ts";
import { get, must, put, ROOT_OWNER } from "./fixtures.ts";

const reactor = new EpollReactor();
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/** An eventfd as the sentry would write it: the epoll instance has to keep its ready list itself. */
class SoftCounter extends OpenFile {
  readonly name = "soft";
  readonly #queue = new WaitQueue();
  #count = 0;
  constructor() {
    super(O_RDWR);
  }
  stat(): Errno {
    return EINVAL;
  }
  override read(_buffer: IoBuffer): Transfer {
    if (this.#count === 0) return EAGAIN;
    this.#count = 0;
    this.#queue.wake(POLLOUT);
    return 8;
  }
  override write(_buffer: IoBuffer): Transfer {
    this.#count++;
    this.#queue.wake(POLLIN);
    return 8;
  }
  override poll(): number {
    return POLLOUT | (this.#count > 0 ? POLLIN : 0);
  }
  override subscribe(events: number, waiter: (events: number) => void): () => void {
    return this.#queue.subscribe(events, waiter);
  }
  protected override release(): void {}
}

/** One watched thing, twice: as the guest's file and as a descriptor of the host, operated alike. */
interface Pair {
  readonly file: OpenFile;
  readonly fd: number;
  write(): void;
  read(): void;
}

function softPair(): Pair {
  const file = new SoftCounter();
  const fd = must(eventfd(0, 0));
  return {
    file,
    fd,
    write: () => {
      put(file, "12345678");
      writeBytes(fd, ONE);
    },
    read: () => {
      get(file, 8);
      readBytes(fd, new Uint8Array(8));
    },
  };
}

function eventPair(): Pair {
  const file = must(EventFile.create(reactor, 0, 0));
  const fd = must(eventfd(0, 0));
  return {
    file,
    fd,
    write: () => {
      put(file, String.fromCharCode(1, 0, 0, 0, 0, 0, 0, 0));
      writeBytes(fd, ONE);
    },
    read: () => {
      get(file, 8);
      readBytes(fd, new Uint8Array(8));
    },
  };
}

function pipePair(): Pair {
  const [reader, writer] = must(makePipe(reactor, 0, ROOT_OWNER));
  const [hostReader, hostWriter] = must(pipe(0o4000));
  return {
    file: reader,
    fd: hostReader,
    write: () => {
      put(writer, "x");
      writeBytes(hostWriter, Buffer.from("x"));
    },
    read: () => {
      get(reader, 2);
      readBytes(hostReader, new Uint8Array(2));
    },
  };
}

/** Runs the same random operations on our epoll and on the host's. @returns the first difference. */
function compare(seed: number, makers: readonly (() => Pair)[], steps: number): string | undefined {
  let state = seed;
  const random = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const ours = must(Epoll.create(reactor));
  const hosts = must(HostEpoll.create());
  const pairs = makers.map((make) => make());
  const log: string[] = [];
  const flags = [POLLIN, POLLOUT, POLLIN | POLLOUT];
  const modes = [0, EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT];
  let difference: string | undefined;
  for (let step = 0; step < steps && difference === undefined; step++) {
    const index = random(pairs.length);
    const pair = pairs[index] as Pair;
    const action = random(8);
    if (action < 2) {
      pair.write();
      log.push(`write ${index}`);
    } else if (action === 2) {
      pair.read();
      log.push(`read ${index}`);
    } else if (action < 6) {
      const operation = [EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL][action - 3] as number;
      const events = ((flags[random(3)] as number) | (modes[random(4)] as number)) >>> 0;
      const a = ours.control(operation, index, pair.file, events, BigInt(index));
      const b = hosts.control(operation, pair.fd, events, BigInt(index));
      log.push(`ctl ${operation} ${index} ${events.toString(16)} ${b?.name ?? "ok"}`);
      if (a !== b) difference = `control: ours ${a}, host ${b}`;
    } else {
      const a = new Map(ours.collect(16).map((e) => [Number(e.data), e.events]));
      const b = new Map(hosts.wait(16, 0n).map((e) => [e.key, e.events]));
      const render = (map: Map<number, number>) =>
        JSON.stringify([...map].sort((x, y) => x[0] - y[0]));
      log.push(`wait ${render(b)}`);
      if (render(a) !== render(b)) difference = `wait: ours ${render(a)}, host ${render(b)}`;
    }
  }
  ours.close();
  hosts.close();
  for (const pair of pairs) {
    pair.file.close();
    close(pair.fd);
  }
  return difference === undefined ? undefined : `${difference} after ${log.slice(-20).join("; ")}`;
}

for (const [what, makers] of [
  ["files of the sentry's own", [softPair, softPair, softPair]],
  ["host-backed files", [pipePair, eventPair, pipePair]],
  ["both together", [softPair, pipePair, softPair, eventPair]],
] as const) {
  test(`epoll reports what the host's epoll reports, for ${what}`, (t) => {
    for (let seed = 1; seed <= 150; seed++) t.is(compare(seed, makers, 60), undefined);
  });
}

test("epoll_ctl answers errno by errno", (t) => {
  const epoll = must(Epoll.create(reactor));
  const file = must(EventFile.create(reactor, 0, 0));
  const control = (op: number, events = POLLIN, target: OpenFile = file) =>
    epoll.control(op, 5, target, events, 0n);
  t.is(control(EPOLL_CTL_MOD), ENOENT);
  t.is(control(EPOLL_CTL_DEL), ENOENT);
  t.is(control(99), EINVAL);
  t.is(control(EPOLL_CTL_ADD, POLLIN, epoll), EINVAL);
  t.is(control(EPOLL_CTL_ADD, EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
  t.is(control(EPOLL_CTL_ADD, EPOLLEXCLUSIVE | POLLIN), undefined);
  t.is(control(EPOLL_CTL_ADD), EEXIST);
  t.is(control(EPOLL_CTL_MOD), EINVAL);
  t.is(control(EPOLL_CTL_DEL), undefined);
  class Regular extends OpenFile {
    readonly name = "/file";
    stat(): Errno {
      return EINVAL;
    }
    protected override release(): void {}
  }
  t.is(control(EPOLL_CTL_ADD, POLLIN, new Regular(0)), EPERM);
  epoll.close();
  file.close();
});

test("two descriptors of one description are two registrations, and both end with the description", (t) => {
  const epoll = must(Epoll.create(reactor));
  const file = must(EventFile.create(reactor, 1, 0));
  file.retain();
  t.is(epoll.control(EPOLL_CTL_ADD, 5, file, POLLIN, 5n), undefined);
  t.is(epoll.control(EPOLL_CTL_ADD, 6, file, POLLIN, 6n), undefined);
  const ready = () => epoll.collect(10).map((event) => event.data);
  t.deepEqual(ready().sort(), [5n, 6n]);
  file.close();
  t.deepEqual(ready().sort(), [5n, 6n]);
  file.close();
  t.deepEqual(ready(), []);
  epoll.close();
});

test("epoll instances contain each other to the depth of the host's, never in a circle", (t) => {
  const ours = Array.from({ length: 7 }, () => must(Epoll.create(reactor)));
  const hosts = Array.from({ length: 7 }, () => must(HostEpoll.create()));
  for (let i = 0; i + 1 < ours.length; i++) {
    const [inner, outer] = [ours[i], ours[i + 1]];
    const [hostInner, hostOuter] = [hosts[i], hosts[i + 1]];
    if (!inner || !outer || !hostInner || !hostOuter) return t.fail();
    const a = outer.control(EPOLL_CTL_ADD, 3, inner, POLLIN, 0n);
    t.is(a, hostOuter.control(EPOLL_CTL_ADD, hostInner.fd, POLLIN, 0n), `level ${i}`);
  }
  const [first, second] = ours;
  if (!first || !second) return t.fail();
  t.is(first.control(EPOLL_CTL_ADD, 3, second, POLLIN, 0n), ELOOP);
  for (const epoll of [...ours, ...hosts]) epoll.close();
  return undefined;
});

test("an epoll instance is readable while something in it is ready, hard or soft, also nested", (t) => {
  for (const pair of [softPair(), pipePair()]) {
    const inner = must(Epoll.create(reactor));
    const outer = must(Epoll.create(reactor));
    inner.control(EPOLL_CTL_ADD, 3, pair.file, POLLIN, 3n);
    outer.control(EPOLL_CTL_ADD, 4, inner, POLLIN, 4n);
    t.is(outer.poll(), 0);
    t.deepEqual(outer.collect(4), []);
    let woken = 0;
    const unsubscribe = outer.subscribe(POLLIN, () => woken++);
    pair.write();
    // Once for what is inside, once for the instance itself.
    for (let turn = 0; turn < 2; turn++) reactor.turn(0);
    t.true(woken >= 1);
    t.is(outer.poll() & POLLIN, POLLIN);
    t.deepEqual(outer.collect(4), [{ events: POLLIN, data: 4n }]);
    t.deepEqual(inner.collect(4), [{ events: POLLIN, data: 3n }]);
    pair.read();
    t.is(outer.poll(), 0);
    t.deepEqual(outer.collect(4), []);
    unsubscribe();
    inner.close();
    outer.close();
    pair.file.close();
    close(pair.fd);
  }
});

test("a hangup is reported though nobody asked for it", (t) => {
  const epoll = must(Epoll.create(reactor));
  const [reader, writer] = must(makePipe(reactor, 0, ROOT_OWNER));
  epoll.control(EPOLL_CTL_ADD, 3, reader, 0, 3n);
  t.deepEqual(epoll.collect(4), []);
  writer.close();
  t.deepEqual(epoll.collect(4), [{ events: POLLHUP, data: 3n }]);
  reader.close();
  epoll.close();
});
