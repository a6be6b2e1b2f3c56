import type { ByteString } from "../../../sentry/abi/bytes.ts";
import {
  EFAULT,
  EINTR,
  ENAMETOOLONG,
  ENOENT,
  ERESTARTNOHAND,
  ERESTARTNOINTR,
  ERESTARTSYS,
  Errno,
} from "../../../sentry/abi/errno.ts";
import { NUMBERS, type SyscallName } from "../../../sentry/abi/numbers.ts";
import { bit, SA_NODEFER, SA_RESTART } from "../../../sentry/abi/signal.ts";
import { Dispatcher } from "../../../sentry/dispatch.ts";
import type { Reactor, Timer, Watch } from "../../../sentry/host/reactor.ts";
import { PARKED, type Parked } from "../../../sentry/kernel/blocking.ts";
import type { TaskCredentials } from "../../../sentry/kernel/capabilities.ts";
import { initialCredentials } from "../../../sentry/kernel/capabilities.ts";
import { FdTable } from "../../../sentry/kernel/fd-table.ts";
import { Kernel, type ProgramOpener } from "../../../sentry/kernel/kernel.ts";
import { Limits } from "../../../sentry/kernel/limits.ts";
import type {
  CloneSpec,
  GuestThread,
  HostAuxv,
  KernelEvents,
  Machine,
  ProgramImage,
  SignalDelivery,
} from "../../../sentry/kernel/machine.ts";
import type { GuestMemory } from "../../../sentry/kernel/memory.ts";
import { Process } from "../../../sentry/kernel/process.ts";
import { ProcessGroup, Session } from "../../../sentry/kernel/session.ts";
import { SignalActions } from "../../../sentry/kernel/signal-actions.ts";
import { Task } from "../../../sentry/kernel/task.ts";
import type { Usage } from "../../../sentry/kernel/usage.ts";
import type { CallFrame } from "../../../sentry/syscalls/define.ts";
import { FsContext } from "../../../sentry/vfs/fs-context.ts";
import { HostBuffer } from "../../../sentry/vfs/host-buffer.ts";
import type { Path } from "../../../sentry/vfs/mount.ts";

/** A loop whose clock moves only when a test says so. */
export class FakeReactor implements Reactor {
  shareWithNode() {
    return { close: () => {} };
  }

  #now = 1_000_000_000_000n;
  #posted: (() => void)[] = [];
  #timers: { deadlineNs: bigint; fire: () => void }[] = [];

  watch(): Watch {
    throw new Error("No test of the kernel watches a host descriptor");
  }

  at(deadlineNs: bigint, fire: () => void): Timer {
    const timer = { deadlineNs, fire };
    this.#timers.push(timer);
    const cancel = () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
    return { cancel };
  }

  now(): bigint {
    return this.#now;
  }

  post(run: () => void): void {
    this.#posted.push(run);
  }

  /** Runs what was posted, and what that posts. */
  settle(): void {
    for (let run = this.#posted.shift(); run !== undefined; run = this.#posted.shift()) run();
  }

  /** Lets time pass. */
  advance(ns: bigint): void {
    const end = this.#now + ns;
    for (;;) {
      this.settle();
      const [next] = this.#timers
        .filter(({ deadlineNs }) => deadlineNs <= end)
        .sort((a, b) => (a.deadlineNs < b.deadlineNs ? -1 : 1));
      if (next === undefined) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      if (next.deadlineNs > this.#now) this.#now = next.deadlineNs;
      next.fire();
    }
    this.#now = end;
    this.settle();
  }
}

/** One mapping of memory at {@link FakeMemory.BASE}; everything else is a bad address. */
export class FakeMemory implements GuestMemory {
  static readonly BASE = 0x10000;
  readonly bytes: Buffer;
  #next = FakeMemory.BASE;

  constructor(bytes: Buffer = Buffer.alloc(1 << 18)) {
    this.bytes = bytes;
  }

  copy(): FakeMemory {
    const copy = new FakeMemory(Buffer.from(this.bytes));
    copy.#next = this.#next;
    return copy;
  }

  copyIn(addr: number, length: number): Uint8Array | Errno {
    const at = addr - FakeMemory.BASE;
    if (at < 0 || at + length > this.bytes.length) return EFAULT;
    return Uint8Array.from(this.bytes.subarray(at, at + length));
  }

  copyOut(addr: number, bytes: Uint8Array): Errno | undefined {
    const at = addr - FakeMemory.BASE;
    if (at < 0 || at + bytes.length > this.bytes.length) return EFAULT;
    this.bytes.set(bytes, at);
    return undefined;
  }

  copyInString(addr: number, limit: number): ByteString | Errno {
    const at = addr - FakeMemory.BASE;
    if (at < 0 || at >= this.bytes.length) return EFAULT;
    const end = this.bytes.indexOf(0, at);
    if (end < 0) return EFAULT;
    return end - at >= limit ? ENAMETOOLONG : this.bytes.toString("latin1", at, end);
  }

  /** Puts bytes somewhere and returns their address. */
  place(bytes: Uint8Array | string | number): number {
    const data =
      typeof bytes === "number"
        ? Buffer.alloc(bytes)
        : typeof bytes === "string"
          ? Buffer.from(`${bytes}\0`, "latin1")
          : bytes;
    const addr = this.#next;
    this.#next += (data.length + 15) & ~15;
    this.bytes.set(data, addr - FakeMemory.BASE);
    return addr;
  }

  i32(addr: number): number {
    return this.bytes.readInt32LE(addr - FakeMemory.BASE);
  }

  i64(addr: number): bigint {
    return this.bytes.readBigInt64LE(addr - FakeMemory.BASE);
  }
}

/** The registers of a call; pointers lead into a {@link FakeMemory}. */
class FakeFrame implements CallFrame {
  readonly #registers: readonly bigint[];
  readonly #memory: GuestMemory;

  constructor(registers: readonly (number | bigint)[], memory: GuestMemory) {
    this.#registers = registers.map((value) => BigInt.asUintN(64, BigInt(value)));
    this.#memory = memory;
  }

  big(index: number): bigint {
    return this.#registers[index] ?? 0n;
  }
  u64(index: number): number {
    return Number(this.big(index));
  }
  s64(index: number): number {
    return Number(BigInt.asIntN(64, this.big(index)));
  }
  u32(index: number): number {
    return Number(BigInt.asUintN(32, this.big(index)));
  }
  s32(index: number): number {
    return Number(BigInt.asIntN(32, this.big(index)));
  }
  copyIn(index: number, length: number): Uint8Array | Errno {
    return this.#memory.copyIn(this.u64(index), length);
  }
  copyOut(index: number, bytes: Uint8Array): Errno | undefined {
    return this.#memory.copyOut(this.u64(index), bytes);
  }
  string(index: number, limit: number): ByteString | Errno {
    return this.#memory.copyInString(this.u64(index), limit);
  }
  input(index: number, length: number): HostBuffer | Errno {
    const bytes = this.copyIn(index, length);
    return bytes instanceof Errno ? bytes : HostBuffer.of(bytes);
  }
  output(_index: number, length: number): HostBuffer | Errno {
    return HostBuffer.allocate(Math.min(length, 1 << 20));
  }
}

/** A guest thread whose program is the test: it makes calls and looks at what came of them. */
export class FakeThread implements GuestThread {
  readonly memory: FakeMemory;
  readonly task: Task;
  readonly #machine: FakeMachine;
  mask = 0n;
  published = 0n;
  /** What the last call returned; undefined while it has not. */
  result: number | Errno | undefined;
  /** Handlers that were run. */
  readonly handled: SignalDelivery[] = [];
  ended = false;
  restarts = 0;
  spec: CloneSpec | undefined;
  #call: { readonly number: number; readonly frame: CallFrame } | undefined;
  #attention = false;
  #asking = false;
  #interrupted: Errno | undefined;

  constructor(machine: FakeMachine, task: Task, memory: FakeMemory) {
    this.#machine = machine;
    this.task = task;
    this.memory = memory;
  }

  signalMask(): bigint {
    return this.mask;
  }

  setPending(signals: bigint): void {
    this.published = signals;
  }

  /** Makes a call. @returns its result, undefined if it waits or never returns. */
  call(name: SyscallName, ...registers: (number | bigint)[]): number | Errno | undefined {
    if (this.#call !== undefined) throw new Error("The thread is in a call");
    const frame = new FakeFrame(registers, this.memory);
    this.#start(NUMBERS[name][0], frame);
    return this.result;
  }

  #start(number: number, frame: CallFrame): void {
    this.#call = { number, frame };
    this.result = undefined;
    this.#machine.events.syscall(this.task, frame, number);
  }

  complete(result: number | Errno): void {
    if (this.#call === undefined) throw new Error("The thread is in no call");
    if (result instanceof Errno && result.number >= 512) {
      this.#interrupted = result;
      this.#ask();
      return;
    }
    this.#call = undefined;
    this.result = result;
    if (this.#attention) this.#ask();
  }

  interrupt(): void {
    this.#attention = true;
    this.#machine.reactor.post(() => {
      if (this.#attention && this.#call === undefined) this.#ask();
    });
  }

  /** Changes the mask as rt_sigprocmask does: what it unblocks is asked for. */
  setMask(mask: bigint): void {
    this.mask = mask;
    if (this.published & ~mask) this.#ask();
  }

  /** Guest code faults. */
  fault(signo: number, code: number, addr: number): void {
    this.#machine.events.fault(this.task, signo, code, addr, false);
  }

  #ask(): void {
    if (this.#asking || this.ended) return;
    this.#attention = false;
    this.#asking = true;
    this.#machine.events.signalRequest(this.task);
  }

  deliver(delivery: SignalDelivery | undefined): void {
    this.#asking = false;
    const code = this.#interrupted;
    this.#interrupted = undefined;
    if (delivery === undefined) {
      if (code !== undefined) this.#restart();
      return;
    }
    this.handled.push(delivery);
    this.mask |= delivery.mask;
    if (!(delivery.flags & SA_NODEFER)) this.mask |= bit(delivery.signo);
    if (code === undefined) return;
    const restart =
      code === ERESTARTNOINTR || (code === ERESTARTSYS && (delivery.flags & SA_RESTART) !== 0);
    if (code === ERESTARTNOHAND || !restart) {
      this.#call = undefined;
      this.result = EINTR;
    } else {
      this.#restart();
    }
  }

  #restart(): void {
    const call = this.#call;
    if (call === undefined) throw new Error("There is no call to restart");
    this.restarts++;
    this.#start(call.number, call.frame);
  }

  clone(child: Task, spec: CloneSpec): Parked {
    const memory = spec.kind === "fork" ? this.memory.copy() : this.memory;
    this.#machine.reactor.post(() => {
      if (this.#machine.refuseClones) {
        this.#machine.events.cloneFailed(child, ENOENT);
        this.task.complete(ENOENT);
        return;
      }
      const thread = new FakeThread(this.#machine, child, memory);
      thread.mask = this.mask;
      thread.spec = spec;
      child.thread = thread;
      this.task.complete(child.tid);
    });
    return PARKED;
  }

  mapFile(): Parked {
    throw new Error("No test of the kernel maps a file");
  }

  mapZeroes(): Parked {
    throw new Error("No test of the kernel maps the zero device");
  }

  exit(): void {
    this.ended = true;
  }
}

const AUXV: HostAuxv = {
  isa: "x86_64",
  hwcap: 0x1234n,
  hwcap2: 2n,
  minsigstksz: 3376,
  clockTick: 100,
  pageSize: 4096,
  platform: "x86_64",
  vdso: () => 0x7fff_1000_0000,
};

/** A machine that runs no code. */
export class FakeMachine implements Machine {
  readonly auxv = AUXV;
  readonly reactor: FakeReactor;
  events: KernelEvents;
  readonly images: ProgramImage[] = [];
  refuseClones = false;
  refuseExec: Errno | undefined;
  /** What every process has used. */
  used: Usage | undefined;

  constructor(reactor: FakeReactor, kernel: Kernel) {
    this.reactor = reactor;
    this.events = new Dispatcher(kernel);
  }

  exec(task: Task, image: ProgramImage): Errno | undefined {
    if (this.refuseExec !== undefined) return this.refuseExec;
    this.images.push(image);
    const thread = new FakeThread(this, task, new FakeMemory());
    thread.mask = (task.thread as FakeThread | undefined)?.mask ?? 0n;
    for (const other of task.process.tasks) {
      const old = other.thread as FakeThread | undefined;
      if (old !== undefined) old.ended = true;
    }
    task.thread = thread;
    return undefined;
  }

  kill(process: Process): void {
    for (const task of process.tasks) {
      const thread = task.thread as FakeThread | undefined;
      if (thread !== undefined) thread.ended = true;
    }
    this.reactor.post(() => this.events.processGone(process, { signo: 9 }));
  }

  usage(): Usage {
    return (
      this.used ?? {
        userNs: 0n,
        systemNs: 0n,
        maxResidentBytes: 0,
        minorFaults: 0,
        majorFaults: 0,
        voluntarySwitches: 0,
        involuntarySwitches: 0,
      }
    );
  }
}

/** The place every process of a test is in; nothing walks it. */
const NOWHERE = {} as Path;

/** A container without files: a kernel on a fake machine, and its first process. */
export class World {
  readonly reactor = new FakeReactor();
  readonly kernel: Kernel;
  readonly machine: FakeMachine;
  readonly trace: string[] = [];
  readonly logged: string[] = [];
  /** The thread of pid 1. */
  readonly init: FakeThread;

  constructor(
    options: {
      readonly maxTasks?: number;
      readonly credentials?: TaskCredentials;
      readonly openProgram?: ProgramOpener;
    } = {},
  ) {
    this.kernel = new Kernel({
      reactor: this.reactor,
      openProgram: options.openProgram ?? (() => ENOENT),
      trace: (line) => this.trace.push(line),
      log: (line) => this.logged.push(line),
      ...(options.maxTasks === undefined ? {} : { maxTasks: options.maxTasks }),
    });
    this.machine = new FakeMachine(this.reactor, this.kernel);
    this.kernel.machine = this.machine;
    this.init = this.#boot(options.credentials ?? initialCredentials(0, 0, []));
  }

  /** A process without a program, made as `startProcess` makes one. */
  #boot(credentials: TaskCredentials): FakeThread {
    const { kernel } = this;
    const pid = kernel.pids.allocate();
    if (pid instanceof Errno) throw new Error("There is no room for the first process");
    const process = new Process(kernel, pid, {
      parent: undefined,
      group: (self) => new ProcessGroup(pid, new Session(self)),
      actions: new SignalActions(),
      limits: new Limits(),
    });
    const task = new Task(kernel, process, pid, {
      files: new FdTable(),
      fs: new FsContext(NOWHERE),
      credentials,
      name: "init",
    });
    process.leader = task;
    process.tasks.add(task);
    kernel.pids.addProcess(process);
    kernel.pids.addTask(task);
    kernel.pids.addGroup(process.group);
    const thread = new FakeThread(this.machine, task, new FakeMemory());
    task.thread = thread;
    return thread;
  }

  /** Runs what is under way. */
  settle(): void {
    this.reactor.settle();
  }

  /** Lets `parent` make a child process. */
  fork(parent: FakeThread): FakeThread {
    parent.call("fork");
    this.settle();
    return this.thread(parent.result);
  }

  /** The thread of a task. */
  thread(tid: number | Errno | undefined): FakeThread {
    const task = typeof tid === "number" ? this.kernel.pids.task(tid) : undefined;
    if (task?.thread === undefined) throw new Error(`There is no thread ${tid}`);
    return task.thread as FakeThread;
  }

  /** Lets `thread` make another thread of its process. */
  spawn(thread: FakeThread): FakeThread {
    const flags = 0x3d0f00; // what pthread_create(3) passes
    thread.call("clone", flags, 0x2000, 0, 0, 0);
    this.settle();
    return this.thread(thread.result);
  }
}
