/** Waiting for many files at once: poll(2) and select(2) with their kin. */
import { EAGAIN, EBADF, EFAULT, EINVAL, ERESTARTNOHAND, Errno } from "../abi/errno.ts";
import { O_PATH } from "../abi/file.ts";
import { Pollfd, Timespec, Timeval } from "../abi/structs.ts";
import { pollAll } from "../host/io.ts";
import { PARKED } from "../kernel/blocking.ts";
import { NR_OPEN } from "../kernel/fd-table.ts";
import type { Task } from "../kernel/task.ts";
import { HostBackedFile, POLL_ALL } from "../vfs/host-readiness.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLPRI,
  POLLRDBAND,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
} from "../vfs/poll.ts";
import { addr, int, size, uint } from "./args.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import { descriptorLimit } from "./fd.ts";
import { type FileWait, waitOn } from "./transfer.ts";

const SIGSET_SIZE = 8;
const NS_PER_MS = 1_000_000n;
const NS_PER_SECOND = 1_000_000_000n;

/** What each of the three sets of select(2) means in events; `fs/select.c`. */
const READ_SET = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR;
const WRITE_SET = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR;
const EXCEPT_SET = POLLPRI;

/** What is ready of each file, asking the host about all of its descriptors at once. */
export function readinessOf(files: readonly OpenFile[]): number[] {
  const asked: { fd: number; events: number; index: number }[] = [];
  const ready = files.map((file, index) => {
    const fd = file instanceof HostBackedFile ? file.pollFd : undefined;
    if (fd === undefined) return file.poll();
    asked.push({ fd, events: POLL_ALL, index });
    return 0;
  });
  const found = pollAll(asked);
  for (let i = 0; i < asked.length; i++) ready[asked[i]?.index ?? 0] = found[i] ?? 0;
  return ready;
}

/** How long to wait, in nanoseconds; undefined: for ever. */
type Timeout = bigint | undefined;

/**
 * Runs `attempt`, which answers 0 when nothing is ready, until it has a result or the time is over.
 * @param remember is told how much time is left when the call ends; for calls that store it.
 */
function waitForAny(
  task: Task,
  waits: readonly FileWait[],
  timeout: Timeout,
  attempt: () => number | Errno,
  remember: (leftNs: bigint) => void = () => {},
): Result {
  if (timeout === 0n) return attempt();
  const deadlineNs = timeout === undefined ? undefined : task.deadlineAfter(timeout);
  const ended = () => {
    if (deadlineNs === undefined) return;
    const left = deadlineNs - task.kernel.reactor.now();
    remember(left > 0n ? left : 0n);
  };
  const onTimeout = () => attempt();
  const result = waitOn(
    task,
    waits,
    () => {
      const count = attempt();
      return count === 0 ? EAGAIN : count;
    },
    { deadlineNs, onTimeout, interrupted: ERESTARTNOHAND, ended },
  );
  if (result !== PARKED) ended();
  return result;
}

/** The files of one call, each once however often the guest names it. */
class WantedFiles {
  readonly files: OpenFile[] = [];
  readonly waits: { file: OpenFile; events: number }[] = [];
  readonly #places = new Map<OpenFile, number>();

  /** @returns the file's index. */
  add(file: OpenFile, events: number): number {
    const place = this.#places.get(file);
    const wait = place === undefined ? undefined : this.waits[place];
    if (place !== undefined && wait !== undefined) {
      wait.events |= events;
      return place;
    }
    this.#places.set(file, this.files.length);
    this.waits.push({ file, events });
    return this.files.push(file) - 1;
  }
}

function pollFiles(
  task: Task,
  at: number,
  count: number,
  timeout: Timeout,
  remember?: (leftNs: bigint) => void,
): Result {
  if (count > descriptorLimit(task)) return EINVAL;
  const raw = count === 0 ? new Uint8Array(0) : task.memory.copyIn(at, count * Pollfd.size);
  if (raw instanceof Errno) return raw;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const wanted = new WantedFiles();
  /** For each entry the index of its file, -1 for a negative descriptor, -2 for a bad one. */
  const places: number[] = [];
  for (let i = 0; i < count; i++) {
    const number = view.getInt32(i * Pollfd.size, true);
    const file = number < 0 ? undefined : task.files.get(number);
    if (file === undefined) places.push(-1);
    else if (file instanceof Errno || (file.flags & O_PATH) !== 0) places.push(-2);
    else places.push(wanted.add(file, view.getUint16(i * Pollfd.size + 4, true)));
  }
  const { files, waits } = wanted;
  const attempt = (): number | Errno => {
    const ready = readinessOf(files);
    let found = 0;
    for (let i = 0; i < count; i++) {
      const place = places[i] ?? -1;
      const asked = view.getUint16(i * Pollfd.size + 4, true) | POLLERR | POLLHUP;
      const events = place === -1 ? 0 : place === -2 ? POLLNVAL : (ready[place] ?? 0) & asked;
      view.setUint16(i * Pollfd.size + 6, events, true);
      if (events !== 0) found++;
    }
    return (count === 0 ? undefined : task.memory.copyOut(at, raw)) ?? found;
  };
  return waitForAny(task, waits, timeout, attempt, remember);
}

/** One set of select(2): a bit for each descriptor, in 64-bit words. */
interface FdSet {
  readonly at: number;
  readonly wanted: Uint8Array;
  readonly found: Uint8Array;
  readonly events: number;
}

function fdSet(task: Task, at: number, count: number, events: number): FdSet | Errno {
  const length = Math.ceil(count / 64) * 8;
  if (at === 0 || length === 0) {
    return { at: 0, wanted: new Uint8Array(length), found: new Uint8Array(length), events };
  }
  const wanted = task.memory.copyIn(at, length);
  if (wanted instanceof Errno) return wanted;
  return { at, wanted, found: new Uint8Array(length), events };
}

function selectFiles(
  task: Task,
  count: number,
  pointers: readonly [number, number, number],
  timeout: Timeout,
  remember?: (leftNs: bigint) => void,
): Result {
  if (count < 0) return EINVAL;
  const limited = Math.min(count, NR_OPEN);
  const sets: FdSet[] = [];
  for (const [i, events] of [READ_SET, WRITE_SET, EXCEPT_SET].entries()) {
    const set = fdSet(task, pointers[i] ?? 0, limited, events);
    if (set instanceof Errno) return set;
    sets.push(set);
  }
  const wanted = new WantedFiles();
  const entries: { readonly number: number; readonly place: number }[] = [];
  for (let number = 0; number < limited; number++) {
    const byte = number >> 3;
    const bit = 1 << (number & 7);
    let events = 0;
    for (const set of sets) if ((set.wanted[byte] ?? 0) & bit) events |= set.events;
    if (events === 0) continue;
    const file = task.files.get(number);
    if (file instanceof Errno || (file.flags & O_PATH) !== 0) return EBADF;
    entries.push({ number, place: wanted.add(file, events) });
  }
  const { files, waits } = wanted;
  const attempt = (): number | Errno => {
    const ready = readinessOf(files);
    let bits = 0;
    for (const set of sets) {
      set.found.fill(0);
      for (const { number, place } of entries) {
        const byte = number >> 3;
        const bit = 1 << (number & 7);
        const isReady = ((ready[place] ?? 0) & set.events) !== 0;
        if (((set.wanted[byte] ?? 0) & bit) === 0 || !isReady) continue;
        set.found[byte] = (set.found[byte] ?? 0) | bit;
        bits++;
      }
    }
    return bits;
  };
  const report = (): number | Errno => {
    const bits = attempt();
    if (bits instanceof Errno || (bits === 0 && timeout !== 0n && !expired())) return bits;
    for (const { at, found } of sets) {
      if (at !== 0 && task.memory.copyOut(at, found) !== undefined) return EFAULT;
    }
    return bits;
  };
  // Sets are stored when the call succeeds, which with nothing ready it does only when time is over.
  const deadline = timeout === undefined ? undefined : task.deadlineAfter(timeout);
  const expired = () => deadline !== undefined && task.kernel.reactor.now() >= deadline;
  return waitForAny(task, waits, timeout, report, remember);
}

/** The timeout at `at`, a timespec. @returns `EFAULT`, `EINVAL`. */
export function timespecAt(task: Task, at: number): Timeout | Errno {
  if (at === 0) return undefined;
  const raw = task.memory.copyIn(at, Timespec.size);
  if (raw instanceof Errno) return raw;
  const { sec, nsec } = Timespec.parse(raw);
  if (sec < 0 || nsec < 0 || nsec >= Number(NS_PER_SECOND)) return EINVAL;
  return BigInt(sec) * NS_PER_SECOND + BigInt(nsec);
}

function storeTimespec(task: Task, at: number): (leftNs: bigint) => void {
  return (left) => {
    if (at === 0) return;
    const sec = Number(left / NS_PER_SECOND);
    task.memory.copyOut(at, Timespec.bytes({ sec, nsec: Number(left % NS_PER_SECOND) }));
  };
}

export const POLL: readonly Syscall[] = [
  syscall("poll", {
    support: "full",
    args: { fds: addr, nfds: uint, timeout: int },
    run: (task, { fds, nfds, timeout }) =>
      pollFiles(task, fds, nfds, timeout < 0 ? undefined : BigInt(timeout) * NS_PER_MS),
  }),
  syscall("ppoll", {
    support: "full",
    args: { fds: addr, nfds: uint, timeout: addr, sigmask: addr, sigsetsize: size },
    run: (task, { fds, nfds, timeout, sigmask, sigsetsize }) => {
      // The executor has put the mask in force.
      if (sigmask !== 0 && sigsetsize !== SIGSET_SIZE) return EINVAL;
      const limit = timespecAt(task, timeout);
      if (limit instanceof Errno) return limit;
      return pollFiles(task, fds, nfds, limit, storeTimespec(task, timeout));
    },
  }),
  syscall("select", {
    support: "full",
    args: { nfds: int, readfds: addr, writefds: addr, exceptfds: addr, timeout: addr },
    run: (task, { nfds, readfds, writefds, exceptfds, timeout }) => {
      let limit: Timeout;
      if (timeout !== 0) {
        const raw = task.memory.copyIn(timeout, Timeval.size);
        if (raw instanceof Errno) return raw;
        const { sec, usec } = Timeval.parse(raw);
        if (sec < 0 || usec < 0) return EINVAL;
        limit = BigInt(sec) * NS_PER_SECOND + BigInt(usec) * 1000n;
      }
      const remember = (left: bigint) => {
        if (timeout === 0) return;
        const sec = Number(left / NS_PER_SECOND);
        const usec = Number((left % NS_PER_SECOND) / 1000n);
        task.memory.copyOut(timeout, Timeval.bytes({ sec, usec }));
      };
      return selectFiles(task, nfds, [readfds, writefds, exceptfds], limit, remember);
    },
  }),
  syscall("pselect6", {
    support: "full",
    args: {
      nfds: int,
      readfds: addr,
      writefds: addr,
      exceptfds: addr,
      timeout: addr,
      sigmask: addr,
    },
    run: (task, { nfds, readfds, writefds, exceptfds, timeout }) => {
      const limit = timespecAt(task, timeout);
      if (limit instanceof Errno) return limit;
      const pointers = [readfds, writefds, exceptfds] as const;
      return selectFiles(task, nfds, pointers, limit, storeTimespec(task, timeout));
    },
  }),
];
