/**
 * The seam between the kernel (what Linux means) and the machine (where guest code runs: executors behind
 * rings, or a thread of this very process). The kernel decides; the machine carries out.
 */
import type { ByteString } from "../abi/bytes.ts";
import type { Errno } from "../abi/errno.ts";
import type { Isa } from "../abi/numbers.ts";
import type { HostBacking } from "../vfs/open-file.ts";
import type { Parked } from "./blocking.ts";
import type { GuestMemory } from "./memory.ts";
import type { Process } from "./process.ts";
import type { Task } from "./task.ts";
import type { Usage } from "./usage.ts";

/** What the guest is told of a file that is mapped: `/proc/PID/maps`. */
export interface MappedFile {
  /** Its path. */
  readonly name: ByteString;
  readonly dev: number;
  readonly ino: number;
  /** Where its bytes are. */
  readonly backing?: HostBacking | undefined;
}

/** One mapping of a fresh program image. Addresses and lengths are multiples of the page size. */
export interface ImageMapping {
  readonly addr: number;
  readonly length: number;
  /** PROT_* bits. */
  readonly prot: number;
  /** What is mapped (privately) and from which byte of the file on; absent: zeroes. */
  readonly file?: {
    readonly backing: HostBacking;
    readonly offset: number;
    readonly shown: MappedFile;
  };
  /** Grows down on demand: the stack. */
  readonly stack?: boolean;
}

/** A program ready to run: what execve(2) makes of an ELF file, its interpreter, argv, envp and auxv. */
export interface ProgramImage {
  readonly isa: Isa;
  readonly mappings: readonly ImageMapping[];
  /** Bytes stored after everything is mapped: the initial stack, cleared tails of .bss pages. */
  readonly contents: readonly { readonly addr: number; readonly bytes: Uint8Array }[];
  readonly entry: number;
  readonly stackPointer: number;
  /** Where the break starts. */
  readonly brk: number;
  /** Base name of the program, at most 15 bytes, for the host's process list. */
  readonly name: string;
}

/** Values of the host a program's auxiliary vector repeats. See getauxval(3). */
export interface HostAuxv {
  /** Of the programs the machine runs: others cannot be executed. */
  readonly isa: Isa;
  readonly hwcap: bigint;
  readonly hwcap2: bigint;
  readonly minsigstksz: number;
  readonly clockTick: number;
  readonly pageSize: number;
  readonly platform: string;
  /** Where the vDSO will lie for the next program, which is or is not linked to fixed addresses; 0 for none. */
  vdso(fixed: boolean): number;
}

/** What a handler runs with: the answer to a thread that asks for its next signal. */
export interface SignalDelivery {
  readonly signo: number;
  /** Address of the handler. */
  readonly handler: number;
  /** SA_* bits of its action. */
  readonly flags: number;
  readonly restorer: number;
  /** The action's mask: blocked during the handler beside the signal itself (unless SA_NODEFER). */
  readonly mask: bigint;
  /** `siginfo_t`, 128 bytes. */
  readonly info: Uint8Array;
}

/** How the machine is to make a new task run. See clone(2). */
export interface CloneSpec {
  /** `thread` and `vfork` share the caller's memory; `fork` gets a copy. A vfork's parent waits for the machine. */
  readonly kind: "thread" | "vfork" | "fork";
  /** New stack pointer, 0: the caller's. */
  readonly stack: number;
  /** New thread pointer; undefined: the caller's. */
  readonly tls: number | undefined;
  /** Where the child's id is stored in the parent's memory, 0: nowhere (CLONE_PARENT_SETTID). */
  readonly parentTid: number;
  /** The same in the child's memory (CLONE_CHILD_SETTID). */
  readonly childTid: number;
  /** Cleared and futex-woken when the child ends (CLONE_CHILD_CLEARTID). */
  readonly clearTid: number;
}

/** A thread of guest code as the kernel may steer it. Held by its task. */
export interface GuestThread {
  /** Memory of the address space the thread runs in. */
  readonly memory: GuestMemory;
  /** The signals the guest has blocked; the guest's own word, which it may change at any time. */
  signalMask(): bigint;
  /**
   * Publishes what is pending for the thread, blocked signals included: a thread that unblocks one of them
   * comes and asks for it.
   */
  setPending(signals: bigint): void;
  /** Answers the call the thread waits in. */
  complete(result: number | Errno): void;
  /** Makes the thread come and ask for signals: at the end of the call it is in, or at once. */
  interrupt(): void;
  /**
   * Answers a request for a signal. `undefined`: nothing to deliver, go on. The machine builds the frame,
   * applies SA_RESTART to an interrupted call and the masks.
   */
  deliver(delivery: SignalDelivery | undefined): void;
  /**
   * Starts `child` as `spec` says and completes the caller's clone with the child's id; when the host
   * refuses, the kernel hears {@link KernelEvents.cloneFailed} and the caller gets the error.
   */
  clone(child: Task, spec: CloneSpec): Parked;
  /**
   * Completes the thread's mmap(2) with a mapping of host descriptor `fd`, from its byte `offset` on; address
   * and length are the call's own. The guest may keep the descriptor's full power: it must not have more
   * than the guest may have.
   * @param own whether the descriptor is the machine's from now on; else it stays the caller's.
   * @param flags MAP_* bits for the host.
   * @param shown what is mapped, as the guest knows it, and from which of its bytes on.
   * @param length of the mapping, if the call is a shmat(2), which does not say it.
   */
  mapFile(
    fd: number,
    own: boolean,
    prot: number,
    flags: number,
    offset: number,
    shown: MappedFile & { readonly offset: number },
    length?: number,
  ): Parked;
  /** Completes the thread's mmap(2) with fresh zeroes. */
  mapZeroes(prot: number, flags: number): Parked;
  /** Ends this thread of a process that goes on (clear-tid and robust futexes are the machine's). */
  exit(): void;
}

/** Runs guest code. */
export interface Machine {
  readonly auxv: HostAuxv;
  /**
   * Gives `task` a fresh address space running `image`, in which it is the only thread; what it had
   * before is destroyed, except for its signal mask. Also starts a container's first process. The caller's
   * execve is not completed: the task begins at the image's entry.
   * @returns the host's error if it could not (then nothing has changed).
   */
  exec(task: Task, image: ProgramImage): Errno | undefined;
  /** Ends all threads of `process` at once; {@link KernelEvents.processGone} follows when the host confirms. */
  kill(process: Process): void;
  /** What `process` has used so far; absent when the host does not tell. */
  usage?(process: Process): Usage;
  /** CPU time of one thread in nanoseconds; absent when the host does not tell. */
  cpuTime?(task: Task): bigint;
  /** Whether a task that is in no call of ours waits in the host: for a futex, or on what was lent to it. */
  sleeps?(task: Task): boolean;
}

/** What the machine tells the kernel. */
export interface KernelEvents {
  /** A system call arrived; the machine completes it with the result unless parked. */
  syscall(task: Task, frame: import("../syscalls/define.ts").CallFrame, number: number): void;
  /**
   * A thread that waits on an epoll instance by itself asks for what only the sentry knows is ready.
   * @returns how many reports have been stored, or an error of epoll_wait(2).
   */
  softEvents(task: Task, frame: import("../syscalls/define.ts").CallFrame): number | Errno;
  /**
   * The thread asks for its next deliverable signal. Answered by {@link GuestThread.deliver}, now or later (a
   * stopped task is answered when it continues).
   */
  signalRequest(task: Task): void;
  /**
   * Guest code faulted: a synchronous signal, forced on the task. Answered as a signal request.
   * @param fatal there is no room for a handler's frame: the default action is taken.
   */
  fault(task: Task, signo: number, code: number, addr: number, fatal: boolean): void;
  /** The host could not start `child`; it never ran. */
  cloneFailed(child: Task, error: Errno): void;
  /**
   * No thread of `process` runs any more, because of {@link Machine.kill} or by itself. (An executor that
   * exec or a failed clone has made superfluous is the machine's own business.)
   * @param reason why it died by itself: a host wait status, or a violation of the ring's protocol.
   */
  processGone(
    process: Process,
    reason: { readonly signo: number } | { readonly violation: string },
  ): void;
}
