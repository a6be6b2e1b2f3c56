import test from "ava";
import { Errno } from "../../../sentry/abi/errno.ts";
import { EpollReactor } from "../../../sentry/host/epoll-reactor.ts";
import { close, pipe, readBytes, writeBytes } from "../../../sentry/host/io.ts";
import { TimerHeap } from "../../../sentry/host/timer-heap.ts";

const POLLIN = 0x1;
const POLLOUT = 0x4;
const O_NONBLOCK = 0o4000;

function hostPipe(): [number, number] {
  const ends = pipe(O_NONBLOCK);
  if (ends instanceof Errno) throw new Error(String(ends));
  return ends;
}

test("a level watch fires each turn while its descriptor is ready, an edge watch once per change", (t) => {
  const reactor = new EpollReactor();
  const [levelRead, levelWrite] = hostPipe();
  const [edgeRead, edgeWrite] = hostPipe();
  const seen: string[] = [];
  reactor.watch(levelRead, POLLIN, () => seen.push("level"));
  reactor.watch(edgeRead, POLLIN, () => seen.push("edge"), "edge");
  writeBytes(levelWrite, Buffer.from("x"));
  writeBytes(edgeWrite, Buffer.from("x"));
  reactor.turn(0);
  reactor.turn(0);
  t.deepEqual(seen.sort(), ["edge", "level", "level"]);
  readBytes(levelRead, Buffer.alloc(8));
  writeBytes(edgeWrite, Buffer.from("y"));
  reactor.turn(0);
  t.deepEqual(seen.sort(), ["edge", "edge", "level", "level"]);
  for (const fd of [levelRead, levelWrite, edgeRead, edgeWrite]) close(fd);
  reactor.close();
});

test("two watches of one descriptor each see only the events they asked for", (t) => {
  const reactor = new EpollReactor();
  const [readEnd, writeEnd] = hostPipe();
  const seen: number[] = [];
  const first = reactor.watch(writeEnd, POLLOUT, (events) => seen.push(events));
  const second = reactor.watch(writeEnd, POLLIN, () => seen.push(-1));
  reactor.turn(0);
  t.deepEqual(seen, [POLLOUT]);
  first.setEvents(0);
  reactor.turn(0);
  t.deepEqual(seen, [POLLOUT]);
  first.setEvents(POLLOUT);
  reactor.turn(0);
  t.deepEqual(seen, [POLLOUT, POLLOUT]);
  first.close();
  second.close();
  reactor.turn(0);
  t.is(seen.length, 2);
  close(readEnd);
  close(writeEnd);
  reactor.close();
});

test("a turn ends at the next timer and runs timers and posted calls in order", (t) => {
  const reactor = new EpollReactor();
  const order: string[] = [];
  const now = reactor.now();
  reactor.at(now + 2_000_000n, () => order.push("later"));
  reactor.at(now + 1_000_000n, () => order.push("sooner"));
  const cancelled = reactor.at(now + 1_500_000n, () => order.push("cancelled"));
  cancelled.cancel();
  reactor.post(() => order.push("posted"));
  reactor.post(() => order.push("posted next"));
  reactor.run(() => order.length === 4);
  // Timers that are due already when the first turn begins, on a busy machine, come before.
  const isPosted = (what: string) => what.startsWith("posted");
  t.deepEqual(order.filter(isPosted), ["posted", "posted next"]);
  t.deepEqual(
    order.filter((what) => !isPosted(what)),
    ["sooner", "later"],
  );
  reactor.close();
});

test("timers fire by deadline, then by age, whatever is cancelled in between", (t) => {
  const heap = new TimerHeap();
  const fired: number[] = [];
  const expected: [bigint, number][] = [];
  let seed = 7;
  const random = (n: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % n;
  };
  for (let i = 0; i < 500; i++) {
    const deadline = BigInt(random(50));
    const timer = heap.add(deadline, () => fired.push(i));
    if (random(3) === 0) timer.cancel();
    else expected.push([deadline, i]);
  }
  heap.run(100n);
  expected.sort((a, b) => (a[0] === b[0] ? a[1] - b[1] : Number(a[0] - b[0])));
  t.deepEqual(
    fired,
    expected.map(([, i]) => i),
  );
  t.is(heap.next, undefined);
});
