/** What /proc shows of the kernel's processes. */
import { randomUUID } from "node:crypto";
import type { ByteString } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import { SIGMAX } from "../abi/signal.ts";
import type { LimitInfo, MappingInfo, ProcessInfo, SystemInfo, TaskInfo } from "../fs/proc/info.ts";
import type { NetworkInfo } from "../fs/proc/network.ts";
import { messageText, segmentText, semaphoreText } from "../ipc/proc-text.ts";
import type { Path } from "../vfs/mount.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { CLOCK_REALTIME, clockNow } from "./clocks.ts";
import { cpuCount, hostMemory, RELEASE, VERSION } from "./host-facts.ts";
import type { Kernel } from "./kernel.ts";
import { RLIM_INFINITY } from "./limits.ts";
import type { MemoryUse } from "./memory-map.ts";
import { PID_MAX } from "./pid-namespace.ts";
import type { Process } from "./process.ts";
import type { Task } from "./task.ts";
import { addUsage, type Usage } from "./usage.ts";

const ALL_SIGNALS = (1n << BigInt(SIGMAX)) - 1n;
const NO_MEMORY: MemoryUse = { virtual: 0, resident: 0, shared: 0 };

/** NUL-terminated strings, one after the other. */
function strings(list: readonly ByteString[]): Uint8Array {
  return Buffer.from(list.map((string) => `${string}\0`).join(""), "latin1");
}

/** A `/proc/PID/task/TID`. What the host has to be asked for is asked for when it is wanted. */
function taskInfo(task: Task): TaskInfo {
  const { process, kernel, credentials, scheduling } = task;
  const zombie = process.state === "zombie" || task.exited;
  const stopped = process.stop?.complete === true;
  const alone = process.tasks.size <= 1;
  let used: Pick<Usage, "userNs" | "systemNs"> | undefined;
  const usage = () => {
    used ??= alone
      ? usageOf(process)
      : { userNs: kernel.machine.cpuTime?.(task) ?? 0n, systemNs: 0n };
    return used;
  };
  return {
    tid: task.tid,
    comm: task.name,
    get state() {
      return zombie ? "Z" : stopped ? "T" : sleeps(task) ? "S" : "R";
    },
    credentials,
    get userTimeNs() {
      return usage().userNs;
    },
    get systemTimeNs() {
      return usage().systemNs;
    },
    pendingSignals: task.pending.set,
    blockedSignals: task.thread === undefined ? 0n : task.signalMask & ALL_SIGNALS,
    nice: scheduling.nice,
    waitChannel: "0",
  };
}

function sleeps(task: Task): boolean {
  return task.waiting || task.kernel.machine.sleeps?.(task) === true;
}

function usageOf(process: Process): Usage {
  return process.state === "running"
    ? (process.kernel.machine.usage?.(process) ?? process.usage)
    : process.usage;
}

/** A `/proc/PID`. */
class KernelProcessInfo implements ProcessInfo {
  readonly #process: Process;

  constructor(process: Process) {
    this.#process = process;
  }

  get pid(): number {
    return this.#process.pid;
  }
  get ppid(): number {
    return this.#process.parent?.pid ?? 0;
  }
  get pgid(): number {
    return this.#process.group.pgid;
  }
  get sid(): number {
    return this.#process.session.sid;
  }
  get tty(): number {
    return this.#process.session.terminal?.rdev ?? 0;
  }
  get tpgid(): number {
    return this.#process.session.terminal?.foregroundGroup ?? -1;
  }
  get tasks(): readonly TaskInfo[] {
    const { tasks, leader } = this.#process;
    const others = [...tasks].filter((task) => task !== leader);
    return [...(leader === undefined ? [] : [leader]), ...others].map(taskInfo);
  }
  get startTimeNs(): bigint {
    return this.#process.startedNs - this.#process.kernel.bootNs;
  }
  get childUserTimeNs(): bigint {
    return this.#process.childrenUsage.userNs;
  }
  get childSystemTimeNs(): bigint {
    return this.#process.childrenUsage.systemNs;
  }
  get virtualSize(): number {
    return this.#memory().virtual;
  }
  get residentSize(): number {
    return this.#memory().resident;
  }
  get sharedSize(): number {
    return this.#memory().shared;
  }
  get minorFaults(): number {
    return usageOf(this.#process).minorFaults;
  }
  get majorFaults(): number {
    return usageOf(this.#process).majorFaults;
  }
  get sharedPendingSignals(): bigint {
    return this.#process.pending.set;
  }
  get ignoredSignals(): bigint {
    return this.#process.actions.sets().ignored;
  }
  get caughtSignals(): bigint {
    return this.#process.actions.sets().caught;
  }
  get exitCode(): number {
    return this.#process.exitStatus;
  }
  get oomScoreAdj(): number {
    return this.#process.oomScoreAdjust;
  }
  get noNewPrivs(): boolean {
    return this.#process.noNewPrivileges;
  }
  get capabilities(): ProcessInfo["capabilities"] {
    const { inheritable, permitted, bounding, ambient } = this.#process.credentials;
    return { inheritable, permitted, bounding, ambient };
  }
  get umask(): number {
    return this.#process.anyTask?.fs.umask ?? 0;
  }
  get exe(): Path | undefined {
    return this.#process.program?.path;
  }
  get cwd(): Path | undefined {
    return this.#process.anyTask?.fs.cwd;
  }
  get root(): Path | undefined {
    return this.#process.anyTask?.fs.root;
  }

  commandLine(): Uint8Array {
    return strings(this.#process.program?.argv ?? []);
  }
  environment(): Uint8Array {
    return strings(this.#process.program?.envp ?? []);
  }
  auxv(): Uint8Array {
    return this.#process.program?.auxv ?? new Uint8Array(0);
  }
  mappings(counted = false): readonly MappingInfo[] {
    const { state, kernel } = this.#process;
    return state === "running" ? (kernel.memoryMap?.mappings(this.#process, counted) ?? []) : [];
  }
  *descriptors(): Generator<readonly [number, OpenFile]> {
    for (const { fd, file } of this.#process.anyTask?.files.entries() ?? []) yield [fd, file];
  }
  descriptor(fd: number): OpenFile | undefined {
    const file = this.#process.anyTask?.files.get(fd);
    return file instanceof Errno ? undefined : file;
  }
  limit(resource: number): LimitInfo {
    const limit = this.#process.limits.get(resource);
    if (limit instanceof Errno) throw new RangeError(`There is no resource ${resource}`);
    const shown = (value: bigint) => (value === RLIM_INFINITY ? Infinity : Number(value));
    return { soft: shown(limit.cur), hard: shown(limit.max) };
  }
  setComm(tid: number, comm: ByteString): void {
    const task = this.#process.kernel.pids.task(tid);
    if (task?.process === this.#process) task.name = comm.slice(0, 15);
  }
  setOomScoreAdj(value: number): void {
    this.#process.oomScoreAdjust = value;
  }

  #memory(): MemoryUse {
    const { state, kernel } = this.#process;
    return state === "running" ? (kernel.memoryMap?.use(this.#process) ?? NO_MEMORY) : NO_MEMORY;
  }
}

/** The container as /proc shows it. */
export class KernelInfo implements SystemInfo {
  readonly release: ByteString = RELEASE;
  readonly version: ByteString = VERSION;
  readonly machine: ByteString;
  readonly bootCommandLine: ByteString = "";
  readonly cpuCount: number = cpuCount();
  readonly bootTimeNs: bigint = clockNow({ kind: "host", id: CLOCK_REALTIME });
  readonly pidMax: number = PID_MAX;
  readonly bootId: string = randomUUID();
  readonly sysctls: Readonly<Record<string, ByteString>> | undefined;
  readonly #kernel: Kernel;

  /** @param machine what uname(2) says of the container's programs: `x86_64` or `aarch64`. */
  constructor(kernel: Kernel, machine: ByteString, sysctls?: Readonly<Record<string, ByteString>>) {
    this.#kernel = kernel;
    this.machine = machine;
    this.sysctls = sysctls;
  }

  *processes(): Generator<ProcessInfo> {
    for (const process of this.#kernel.pids.processes()) yield new KernelProcessInfo(process);
  }

  process(pid: number): ProcessInfo | undefined {
    const { pids } = this.#kernel;
    const process = pids.process(pid) ?? pids.task(pid)?.process;
    return process === undefined ? undefined : new KernelProcessInfo(process);
  }

  get network(): NetworkInfo {
    return this.#kernel.network;
  }

  ipcText(table: "shm" | "sem" | "msg"): ByteString {
    const texts = { shm: segmentText, sem: semaphoreText, msg: messageText };
    return texts[table](this.#kernel.ipc);
  }

  get hwcap(): bigint {
    return this.#kernel.machine.auxv.hwcap;
  }
  get hostname(): ByteString {
    return this.#kernel.hostname;
  }
  get domainname(): ByteString {
    return this.#kernel.domainname;
  }
  get uptimeNs(): bigint {
    return this.#kernel.reactor.now() - this.#kernel.bootNs;
  }
  get userTimeNs(): bigint {
    return this.#total().userNs;
  }
  get systemTimeNs(): bigint {
    return this.#total().systemNs;
  }
  get forks(): number {
    return this.#kernel.forks;
  }
  get lastPid(): number {
    return this.#kernel.pids.last;
  }
  get memoryTotal(): number {
    return Math.min(this.#kernel.memoryLimit, hostMemory().total);
  }
  get memoryFree(): number {
    return Math.min(hostMemory().free, this.memoryTotal);
  }

  #total(): Usage {
    let total = this.#kernel.pastUsage;
    for (const process of this.#kernel.pids.processes()) {
      total = addUsage(total, addUsage(usageOf(process), process.childrenUsage));
    }
    return total;
  }
}
