import type { ByteString } from "../abi/bytes.ts";
import type { Errno } from "../abi/errno.ts";
import type { Reactor } from "../host/reactor.ts";
import { IpcNamespace } from "../ipc/namespace.ts";
import { NetworkNamespace, type NetworkOptions } from "../net/namespace.ts";
import type { Actor } from "../vfs/fs-context.ts";
import type { Path } from "../vfs/mount.ts";
import { openExecutable } from "../vfs/open.ts";
import { KernelJobControl } from "./job-control.ts";
import type { Executable } from "./load-program.ts";
import type { Machine } from "./machine.ts";
import type { MemoryMap } from "./memory-map.ts";
import { PidNamespace } from "./pid-namespace.ts";
import type { Process } from "./process.ts";
import { NO_USAGE, type Usage } from "./usage.ts";

/**
 * Opens a program file for execve(2): relative paths begin at `start`.
 * @returns open(2)'s errors, or `EACCES` for what may not be executed.
 */
export type ProgramOpener = (
  actor: Actor,
  start: Path,
  path: ByteString,
  options?: { readonly noFollow?: boolean; readonly emptyPath?: boolean },
) => Executable | Errno;

/** What is fixed about a container's kernel. */
export interface KernelOptions {
  readonly reactor: Reactor;
  /** How programs are opened; default: as files of the container. */
  readonly openProgram?: ProgramOpener;
  readonly hostname?: ByteString;
  /** The container's network; default: loopback only. */
  readonly network?: NetworkOptions;
  /** Tasks alive at once (`--pids-limit`). */
  readonly maxTasks?: number;
  /** Bytes of memory the container may use (`-m`). */
  readonly memoryLimit?: number;
  /** Receives what an operator should know: violations of the ring's protocol. */
  readonly log?: (line: string) => void;
  /** Receives trace lines of signals and ends of processes; absent: no trace. */
  readonly trace?: ((line: string) => void) | undefined;
}

/** One container's kernel: everything its processes share. */
export class Kernel {
  readonly reactor: Reactor;
  readonly pids: PidNamespace;
  /** What terminals ask of it. */
  readonly jobControl: KernelJobControl;
  readonly network: NetworkNamespace;
  readonly openProgram: ProgramOpener;
  /** Bytes of memory the container may use; infinite without a limit. */
  memoryLimit: number;
  readonly log: (line: string) => void;
  readonly trace: ((line: string) => void) | undefined;
  /** uname(2)'s node name and domain name. */
  hostname: ByteString;
  domainname: ByteString = "(none)";
  /** CLOCK_MONOTONIC when the container began. */
  readonly bootNs: bigint;
  /** Its System V IPC. */
  readonly ipc = new IpcNamespace();
  /** How many processes were ever made. */
  forks = 0;
  /** What processes that are no more have used. */
  pastUsage: Usage = NO_USAGE;
  /** Pid 1 has ended or is being ended: no process may be made any more. */
  ending = false;
  /** Tells of address spaces; set by the composition root if anything can. */
  memoryMap: MemoryMap | undefined = undefined;
  #machine: Machine | undefined;
  readonly #ended: ((status: number) => void)[] = [];
  #status: number | undefined;

  constructor(options: KernelOptions) {
    this.reactor = options.reactor;
    this.openProgram = options.openProgram ?? openExecutable;
    this.hostname = options.hostname ?? "localhost";
    this.pids = new PidNamespace(options.maxTasks);
    this.jobControl = new KernelJobControl(this.pids);
    this.network = new NetworkNamespace(options.reactor, options.network ?? { mode: "none" });
    this.memoryLimit = options.memoryLimit ?? Number.POSITIVE_INFINITY;
    this.log = options.log ?? (() => {});
    this.trace = options.trace;
    this.bootNs = options.reactor.now();
  }

  /** Where guest code runs. Set once by the composition root, which hands the machine the kernel's events. */
  get machine(): Machine {
    if (this.#machine === undefined) throw new Error("The kernel has no machine yet");
    return this.#machine;
  }

  set machine(machine: Machine) {
    if (this.#machine !== undefined) throw new Error("The kernel already has a machine");
    this.#machine = machine;
  }

  /** The container's first process, while it exists. */
  get init(): Process | undefined {
    return this.pids.process(1);
  }

  /** Calls back with pid 1's wait status when no process is left. */
  onEnd(callback: (status: number) => void): void {
    if (this.#status !== undefined) callback(this.#status);
    else this.#ended.push(callback);
  }

  /** No process is left. */
  end(status: number): void {
    this.#status = status;
    for (const callback of this.#ended.splice(0)) callback(status);
  }
}
