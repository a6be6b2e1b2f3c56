import test from "ava";
import { EBUSY, EINVAL, ENXIO, EPERM, Errno } from "../../../sentry/abi/errno.ts";
import { O_DIRECT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from "../../../sentry/abi/file.ts";
import { Fifo, makePipe, PipeEnd } from "../../../sentry/fs/pipe.ts";
import { EpollReactor } from "../../../sentry/host/epoll-reactor.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from "../../../sentry/vfs/poll.ts";
import { get, must, put, ROOT_OWNER } from "./fixtures.ts";

const reactor = new EpollReactor();
const identity = { name: "/fifo", stat: () => EINVAL };

test("a pipe moves bytes in order, ends with its writer and breaks with its reader", (t) => {
  const [reader, writer] = must(makePipe(reactor, 0, ROOT_OWNER));
  t.is(get(reader), "!EAGAIN");
  t.is(put(writer, "hello "), 6);
  t.is(put(writer, "world"), 5);
  t.is(reader.poll() & POLLIN, POLLIN);
  t.is(get(reader, 5), "hello");
  t.is(get(reader), " world");
  writer.close();
  t.is(reader.poll() & POLLHUP, POLLHUP);
  t.is(get(reader), "");
  reader.close();

  const [left, broken] = must(makePipe(reactor, 0, ROOT_OWNER));
  left.close();
  t.is(broken.poll() & POLLERR, POLLERR);
  t.is(put(broken, "x"), "EPIPE");
  broken.close();
});

test("a write of PIPE_BUF bytes or fewer is all or nothing", (t) => {
  const [reader, writer] = must(makePipe(reactor, 0, ROOT_OWNER));
  must(writer.setCapacity(4096));
  t.is(put(writer, "a".repeat(4000)), 4000);
  t.is(put(writer, "b".repeat(200)), "EAGAIN");
  t.is(get(reader, 8192).length, 4000);
  t.is(put(writer, "b".repeat(200)), 200);
  reader.close();
  writer.close();
});

test("packet mode keeps writes apart", (t) => {
  const [reader, writer] = must(makePipe(reactor, O_DIRECT, ROOT_OWNER));
  put(writer, "one");
  put(writer, "two");
  t.is(get(reader), "one");
  t.is(get(reader), "two");
  reader.close();
  writer.close();
});

test("a pipe's capacity obeys the limits of fcntl(2)", (t) => {
  const [reader, writer] = must(makePipe(reactor, 0, ROOT_OWNER));
  t.is(reader.capacity(), 65536);
  t.is(reader.setCapacity(100_000), 131072);
  t.is(reader.setCapacity(1 << 21), EPERM);
  put(writer, "x".repeat(8192));
  t.is(reader.setCapacity(4096), EBUSY);
  reader.close();
  writer.close();
});

test("a waiter hears of data through the reactor, and the host is not watched when nobody waits", (t) => {
  const [reader, writer] = must(makePipe(reactor, 0, ROOT_OWNER));
  let woken = 0;
  const unsubscribe = reader.subscribe(POLLIN, () => woken++);
  reactor.turn(0);
  t.is(woken, 0);
  put(writer, "x");
  reactor.turn(0);
  t.is(woken, 1);
  unsubscribe();
  put(writer, "y");
  reactor.turn(0);
  t.is(woken, 1);
  reader.close();
  writer.close();
});

test("opening a FIFO waits for the other end, whoever comes first", (t) => {
  for (const order of [
    [O_RDONLY, O_WRONLY],
    [O_WRONLY, O_RDONLY],
  ] as const) {
    const fifo = new Fifo(reactor);
    const first = must(fifo.open(order[0], identity));
    if (first instanceof PipeEnd) return t.fail("The first end does not wait");
    t.false(first.ready());
    let woken = 0;
    const unsubscribe = first.source.subscribe(POLLIN | POLLOUT, () => woken++);
    const second = must(fifo.open(order[1], identity));
    t.true(second instanceof PipeEnd || second.ready());
    t.is(woken, 1);
    t.true(first.ready());
    unsubscribe();
    const secondFile = second instanceof PipeEnd ? second : second.file;
    const reader = order[0] === O_RDONLY ? first.file : secondFile;
    const writer = order[0] === O_RDONLY ? secondFile : first.file;
    t.is(put(writer, "through"), 7);
    t.is(get(reader), "through");
    t.is(get(reader), "!EAGAIN");
    writer.close();
    t.is(get(reader), "");
    reader.close();
  }
});

test("a nonblocking FIFO opens for reading at once and for writing only with a reader", (t) => {
  const fifo = new Fifo(reactor);
  t.is(fifo.open(O_WRONLY | O_NONBLOCK, identity), ENXIO);
  const reader = must(fifo.open(O_RDONLY | O_NONBLOCK, identity));
  if (!(reader instanceof PipeEnd)) return t.fail();
  t.is(reader.poll() & POLLHUP, 0);
  t.is(get(reader), "");
  const writer = fifo.open(O_WRONLY | O_NONBLOCK, identity);
  if (!(writer instanceof PipeEnd)) return t.fail();
  put(writer, "x");
  writer.close();
  t.is(reader.poll(), POLLIN | POLLHUP | 0x40);
  t.is(get(reader), "x");
  reader.close();
  return undefined;
});

test("what was written to a FIFO is gone when both ends have closed", (t) => {
  const fifo = new Fifo(reactor);
  const both = fifo.open(O_RDWR, identity);
  if (both instanceof Errno || !(both instanceof PipeEnd)) return t.fail();
  put(both, "old");
  both.close();
  const reader = fifo.open(O_RDONLY | O_NONBLOCK, identity);
  if (!(reader instanceof PipeEnd)) return t.fail();
  t.is(get(reader), "");
  reader.close();
  return undefined;
});
