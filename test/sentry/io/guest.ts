/** A task to call rows with: registers, memory and a thread that only remembers its results. */
import type { ByteString } from "../../../sentry/abi/bytes.ts";
import { untilNul } from "../../../sentry/abi/bytes.ts";
import { EFAULT, ENAMETOOLONG, Errno } from "../../../sentry/abi/errno.ts";
import { SIG_DFL } from "../../../sentry/abi/signal.ts";
import { tmpfs } from "../../../sentry/fs/tmpfs.ts";
import { EpollReactor } from "../../../sentry/host/epoll-reactor.ts";
import { PARKED } from "../../../sentry/kernel/blocking.ts";
import { initialCredentials } from "../../../sentry/kernel/capabilities.ts";
import { FdTable } from "../../../sentry/kernel/fd-table.ts";
import { Kernel } from "../../../sentry/kernel/kernel.ts";
import { Limits } from "../../../sentry/kernel/limits.ts";
import type { GuestThread, SignalDelivery } from "../../../sentry/kernel/machine.ts";
import type { GuestMemory } from "../../../sentry/kernel/memory.ts";
import { Process } from "../../../sentry/kernel/process.ts";
import { ProcessGroup, Session } from "../../../sentry/kernel/session.ts";
import { SignalActions } from "../../../sentry/kernel/signal-actions.ts";
import { answerSignalRequest } from "../../../sentry/kernel/take-signal.ts";
import { Task } from "../../../sentry/kernel/task.ts";
import type { NetworkOptions } from "../../../sentry/net/namespace.ts";
import type { CallFrame, Syscall } from "../../../sentry/syscalls/define.ts";
import { EVENT } from "../../../sentry/syscalls/event.ts";
import { FD } from "../../../sentry/syscalls/fd.ts";
import { IOCTL } from "../../../sentry/syscalls/ioctl.ts";
import { MESSAGE } from "../../../sentry/syscalls/message.ts";
import { POLL } from "../../../sentry/syscalls/poll.ts";
import { RW } from "../../../sentry/syscalls/rw.ts";
import { SOCKET } from "../../../sentry/syscalls/socket.ts";
import { SPLICE } from "../../../sentry/syscalls/splice.ts";
import { FsContext } from "../../../sentry/vfs/fs-context.ts";
import { HostBuffer } from "../../../sentry/vfs/host-buffer.ts";
import { MountNamespace } from "../../../sentry/vfs/mount.ts";
import { scratch } from "../fs/fixture.ts";

const FILES = scratch();
process.on("exit", FILES.done);

/** As the machine's frames: larger transfers go piece by piece. */
const COPY_LIMIT = 64 << 10;
const BASE = 0x10000;
const SIZE = 1 << 22;

/** Guest memory from {@link BASE} on; everything else is unmapped. */
class FakeMemory implements GuestMemory {
  readonly bytes = Buffer.alloc(SIZE);

  #range(addr: number, length: number): number | Errno {
    const at = addr - BASE;
    return at < 0 || at + length > SIZE ? EFAULT : at;
  }

  copyIn(addr: number, length: number): Uint8Array | Errno {
    const at = this.#range(addr, length);
    return at instanceof Errno ? at : Uint8Array.from(this.bytes.subarray(at, at + length));
  }

  copyOut(addr: number, bytes: Uint8Array): Errno | undefined {
    const at = this.#range(addr, bytes.length);
    if (at instanceof Errno) return at;
    this.bytes.set(bytes, at);
    return undefined;
  }

  copyInString(addr: number, limit: number): ByteString | Errno {
    const bytes = this.copyIn(addr, limit);
    if (bytes instanceof Errno) return bytes;
    return bytes.includes(0) ? untilNul(bytes) : ENAMETOOLONG;
  }
}

/** The registers of one call. */
class FakeFrame implements CallFrame {
  readonly #memory: FakeMemory;
  readonly #registers: readonly (number | bigint)[];
  /** Where the output buffer of a read goes when the call completes. */
  output_: { readonly addr: number; readonly buffer: HostBuffer } | undefined;

  constructor(memory: FakeMemory, registers: readonly (number | bigint)[]) {
    this.#memory = memory;
    this.#registers = registers;
  }
  big(index: number): bigint {
    return BigInt.asUintN(64, BigInt(this.#registers[index] ?? 0));
  }
  s32(index: number): number {
    return Number(BigInt.asIntN(32, this.big(index)));
  }
  u32(index: number): number {
    return Number(BigInt.asUintN(32, this.big(index)));
  }
  s64(index: number): number {
    return Number(BigInt.asIntN(64, this.big(index)));
  }
  u64(index: number): number {
    return Number(this.big(index));
  }
  copyIn(index: number, length: number): Uint8Array | Errno {
    return this.#memory.copyIn(this.u64(index), length);
  }
  string(index: number, limit: number): ByteString | Errno {
    return this.#memory.copyInString(this.u64(index), limit);
  }
  copyOut(index: number, bytes: Uint8Array): Errno | undefined {
    return this.#memory.copyOut(this.u64(index), bytes);
  }
  input(index: number, length: number): HostBuffer | Errno {
    const bytes = this.#memory.copyIn(this.u64(index), Math.min(length, COPY_LIMIT));
    return bytes instanceof Errno ? bytes : HostBuffer.of(bytes);
  }
  output(index: number, length: number): HostBuffer {
    const buffer = HostBuffer.allocate(Math.min(length, COPY_LIMIT));
    this.output_ = { addr: this.u64(index), buffer };
    return buffer;
  }
}

const ROWS: ReadonlyMap<string, Syscall> = new Map(
  [...RW, ...FD, ...POLL, ...EVENT, ...SPLICE, ...SOCKET, ...MESSAGE, ...IOCTL].map((row) => [
    row.name,
    row,
  ]),
);

/** The rows a guest of these tests can call; others may be added. */
export const TABLE: Map<string, Syscall> = new Map(ROWS);

/** One guest thread in a process of its own, or in its parent's process group. */
export class Guest {
  readonly reactor: EpollReactor;
  readonly kernel: Kernel;
  readonly task: Task;
  readonly memory = new FakeMemory();
  /** What the last call that parked has completed with; undefined while it waits. */
  result: number | string | undefined;
  /** Signals whose handlers would have run. */
  readonly delivered: SignalDelivery[] = [];
  mask = 0n;
  #frame: FakeFrame | undefined;
  #next = BASE;

  constructor(
    options: {
      readonly kernel?: Kernel;
      readonly pid?: number;
      readonly group?: ProcessGroup;
      readonly network?: NetworkOptions;
      readonly fs?: FsContext;
      readonly files?: FdTable;
    } = {},
  ) {
    const reactor = new EpollReactor();
    this.kernel =
      options.kernel ?? new Kernel({ reactor, network: options.network ?? { mode: "none" } });
    this.reactor = this.kernel.reactor as EpollReactor;
    const pid = options.pid ?? 2;
    const process = new Process(this.kernel, pid, {
      parent: undefined,
      group: options.group ?? ((self) => new ProcessGroup(pid, new Session(self))),
      actions: new SignalActions(),
      limits: new Limits(),
    });
    this.task = new Task(this.kernel, process, pid, {
      files: options.files ?? new FdTable(),
      fs:
        options.fs ??
        new FsContext(new MountNamespace(tmpfs({ dirfd: FILES.dirfd() })).root.rootPath),
      credentials: initialCredentials(0, 0, []),
      name: "guest",
    });
    process.leader = this.task;
    process.tasks.add(this.task);
    const thread: GuestThread = {
      memory: this.memory,
      signalMask: () => this.mask,
      setPending: () => {},
      complete: (result) => this.#complete(result),
      interrupt: () => this.kernel.reactor.post(() => answerSignalRequest(this.task)),
      deliver: (delivery) => {
        if (delivery !== undefined) this.delivered.push(delivery);
      },
      clone: () => PARKED,
      mapFile: () => PARKED,
      mapZeroes: () => PARKED,
      exit: () => {},
    };
    this.task.thread = thread;
  }

  /** Runs a row. @returns the result, the name of its errno, or `parked`. */
  call(name: string, ...registers: (number | bigint)[]): number | string {
    const row = TABLE.get(name);
    if (row === undefined) throw new Error(`No row for ${name}`);
    this.result = undefined;
    this.#frame = new FakeFrame(this.memory, registers);
    const result = row.invoke(this.task, this.#frame);
    if (result === PARKED) return this.result ?? "parked";
    return this.#complete(result);
  }

  #complete(result: number | Errno): number | string {
    const out = this.#frame?.output_;
    if (typeof result === "number" && out !== undefined) {
      this.memory.copyOut(out.addr, out.buffer.view(result));
    }
    this.result = result instanceof Errno ? result.name : result;
    return this.result;
  }

  /** Room in guest memory, holding `bytes`. */
  alloc(bytes: Uint8Array | string | number): number {
    const content =
      typeof bytes === "number" ? new Uint8Array(bytes) : Buffer.from(bytes as string, "latin1");
    const addr = this.#next;
    this.#next += Math.ceil(content.length / 16) * 16 + 16;
    this.memory.copyOut(addr, content);
    return addr;
  }

  /** Text at `addr`. */
  text(addr: number, length: number): string {
    return this.memory.bytes.toString("latin1", addr - BASE, addr - BASE + length);
  }

  i32(addr: number): number {
    return this.memory.bytes.readInt32LE(addr - BASE);
  }

  u64(addr: number): bigint {
    return this.memory.bytes.readBigUInt64LE(addr - BASE);
  }

  /** A second thread of the process: same descriptors, same files. */
  sibling(): Guest {
    const { files, fs } = this.task;
    return new Guest({ kernel: this.kernel, pid: this.#siblings++, files, fs });
  }
  #siblings = 100;

  /** Turns the loop until the call that parked has completed. */
  finish(): number | string {
    for (let turns = 0; this.result === undefined; turns++) {
      if (turns > 1000) throw new Error("The call does not complete");
      this.reactor.turn(100);
    }
    return this.result;
  }

  /** `pipe2(flags)`. */
  pipe(flags = 0): [number, number] {
    const at = this.alloc(8);
    const result = this.call("pipe2", at, flags);
    if (result !== 0) throw new Error(`pipe2: ${result}`);
    return [this.i32(at), this.i32(at + 4)];
  }

  write(fd: number, text: string): number | string {
    return this.call("write", fd, this.alloc(text), text.length);
  }

  /** Reads at once. @returns the text, or `!NAME`, or `!parked`. */
  read(fd: number, length = 4096): string {
    const at = this.alloc(length);
    const result = this.call("read", fd, at, length);
    return typeof result === "number" ? this.text(at, result) : `!${result}`;
  }

  /** The handler of a signal: nothing happens but that it is remembered. */
  handle(signo: number, flags = 0): void {
    const action = { handler: 0x1000, flags, restorer: 0, mask: 0n };
    this.task.process.actions.set(signo, action);
  }

  ignore(signo: number, handler: number = SIG_DFL): void {
    this.task.process.actions.set(signo, { handler, flags: 0, restorer: 0, mask: 0n });
  }
}
