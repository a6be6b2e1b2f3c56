/** What `/proc` shows of a container's processes. The kernel implements it; nothing here is kept. */
import type { ByteString } from "../../abi/bytes.ts";
import type { Credentials } from "../../vfs/credentials.ts";
import type { Path } from "../../vfs/mount.ts";
import type { OpenFile } from "../../vfs/open-file.ts";
import type { NetworkInfo } from "./network.ts";

/** One line of `/proc/PID/maps`. */
/** What smaps counts of a mapping, in kB, in its order. See proc_pid_smaps(5). */
export const PAGE_COUNTS = [
  "Rss",
  "Pss",
  "Shared_Clean",
  "Shared_Dirty",
  "Private_Clean",
  "Private_Dirty",
  "Referenced",
  "Anonymous",
  "LazyFree",
  "Swap",
  "Locked",
] as const;
export type PageCounts = Readonly<Partial<Record<string, number>>>;

export interface MappingInfo {
  readonly start: number;
  readonly end: number;
  /** PROT_* bits. */
  readonly prot: number;
  readonly shared: boolean;
  readonly offset: number;
  readonly dev: number;
  readonly ino: number;
  /** A path, `[stack]`, `[heap]`, `[vdso]`, or empty. */
  readonly name: ByteString;
  /** By {@link PAGE_COUNTS}; absent unless they were asked for. */
  readonly counts?: PageCounts;
}

/** A resource limit; `Infinity` for unlimited. */
export interface LimitInfo {
  readonly soft: number;
  readonly hard: number;
}

/** One thread. */
export interface TaskInfo {
  readonly tid: number;
  /** At most 15 bytes. */
  readonly comm: ByteString;
  /** See proc_pid_stat(5). */
  readonly state: "R" | "S" | "D" | "T" | "t" | "Z" | "X";
  readonly credentials: Credentials;
  /** In nanoseconds. */
  readonly userTimeNs: bigint;
  readonly systemTimeNs: bigint;
  /** Masks with bit n-1 for signal n. */
  readonly pendingSignals: bigint;
  readonly blockedSignals: bigint;
  readonly nice: number;
  /** What it waits in, such as `futex_wait_queue`; `0` when it runs. */
  readonly waitChannel: string;
}

/** One process. */
export interface ProcessInfo {
  readonly pid: number;
  readonly ppid: number;
  readonly pgid: number;
  readonly sid: number;
  /** Device number of the controlling terminal, or 0. */
  readonly tty: number;
  /** Foreground process group of the terminal, or -1. */
  readonly tpgid: number;
  /** The thread group leader first. */
  readonly tasks: readonly TaskInfo[];
  /** CLOCK_MONOTONIC (of the container) when it started, nanoseconds. */
  readonly startTimeNs: bigint;
  /** CPU time of children waited for, nanoseconds. */
  readonly childUserTimeNs: bigint;
  readonly childSystemTimeNs: bigint;
  /** In bytes. */
  readonly virtualSize: number;
  readonly residentSize: number;
  readonly sharedSize: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  /** Signals by bit n-1. */
  readonly sharedPendingSignals: bigint;
  readonly ignoredSignals: bigint;
  readonly caughtSignals: bigint;
  readonly exitCode: number;
  readonly oomScoreAdj: number;
  readonly noNewPrivs: boolean;
  /** Capability sets beside the effective one; bounding defaults matter to `capsh`. */
  readonly capabilities: {
    readonly inheritable: bigint;
    readonly permitted: bigint;
    readonly bounding: bigint;
    readonly ambient: bigint;
  };
  readonly umask: number;
  /** NUL-terminated strings, as they are in memory now; empty for a zombie. */
  commandLine(): Uint8Array;
  environment(): Uint8Array;
  auxv(): Uint8Array;
  /** Where the program is; absent for a zombie. */
  readonly exe: Path | undefined;
  readonly cwd: Path | undefined;
  readonly root: Path | undefined;
  /** @param counted whether their pages are to be counted, which takes the host a while. */
  mappings(counted?: boolean): readonly MappingInfo[];
  /** Open descriptors in ascending order. */
  descriptors(): Iterable<readonly [fd: number, file: OpenFile]>;
  descriptor(fd: number): OpenFile | undefined;
  /** By the name of `/proc/PID/limits`' row's RLIMIT_* number. */
  limit(resource: number): LimitInfo;
  /** Writes of `/proc/PID/comm` and `oom_score_adj`. */
  setComm(tid: number, comm: ByteString): void;
  setOomScoreAdj(value: number): void;
}

/** The container as a whole. */
export interface SystemInfo {
  /** Living processes and zombies, ascending. */
  processes(): Iterable<ProcessInfo>;
  /** @param pid also that of a thread that leads nothing: then its process. */
  process(pid: number): ProcessInfo | undefined;
  readonly hostname: ByteString;
  readonly domainname: ByteString;
  /** Absent: nothing is shown of it. */
  readonly network?: NetworkInfo;
  /** The tables of `/proc/sysvipc`. */
  ipcText(table: "shm" | "sem" | "msg"): ByteString;
  /** Files of `/proc/sys` that are to say something else. */
  readonly sysctls?: Readonly<Record<string, ByteString>> | undefined;
  /** Text of `uname -r`. */
  readonly release: ByteString;
  /** Text of `uname -v`. */
  readonly version: ByteString;
  /** Text of `uname -m`: `x86_64` or `aarch64`. */
  readonly machine: ByteString;
  /** Kernel command line. */
  readonly bootCommandLine: ByteString;
  readonly cpuCount: number;
  /** AT_HWCAP of its programs. */
  readonly hwcap: bigint;
  /** Since the container started, nanoseconds. */
  readonly uptimeNs: bigint;
  /** Wall clock at the container's start, nanoseconds since the epoch. */
  readonly bootTimeNs: bigint;
  /** CPU time of all processes that ever ran, nanoseconds. */
  readonly userTimeNs: bigint;
  readonly systemTimeNs: bigint;
  /** How many processes were ever made. */
  readonly forks: number;
  readonly lastPid: number;
  readonly pidMax: number;
  /** Bytes; the memory limit when there is one. */
  readonly memoryTotal: number;
  readonly memoryFree: number;
  /** A random UUID of this container's start. */
  readonly bootId: string;
}
