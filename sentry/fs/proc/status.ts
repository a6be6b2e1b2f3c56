/** `stat`, `status`, `statm`, `io`, `limits` of a process or thread. See proc_pid_stat(5) and its neighbours. */
import type { ByteString } from "../../abi/bytes.ts";
import { cpuMask } from "../virtual/cpu-mask.ts";
import type { ProcessInfo, SystemInfo, TaskInfo } from "./info.ts";

const TICK_NS = 10_000_000n;
const PAGE = 4096;

const ticks = (ns: bigint) => ns / TICK_NS;
const kib = (bytes: number) => Math.floor(bytes / 1024);

/** @param whole of the process rather than of the one thread. */
export function statLine(process: ProcessInfo, task: TaskInfo, whole: boolean): ByteString {
  const sum = (of: (task: TaskInfo) => bigint) =>
    whole ? process.tasks.reduce((total, each) => total + of(each), 0n) : of(task);
  const vm = task.state === "Z" ? 0 : process.virtualSize;
  const rss = task.state === "Z" ? 0 : Math.floor(process.residentSize / PAGE);
  const pending = task.pendingSignals | process.sharedPendingSignals;
  const fields = [
    task.tid,
    `(${task.comm})`,
    task.state,
    process.ppid,
    process.pgid,
    process.sid,
    process.tty,
    process.tpgid,
    0x400000, // PF_RANDOMIZE
    process.minorFaults,
    0,
    process.majorFaults,
    0,
    ticks(sum((each) => each.userTimeNs)),
    ticks(sum((each) => each.systemTimeNs)),
    ticks(process.childUserTimeNs),
    ticks(process.childSystemTimeNs),
    20 + task.nice,
    task.nice,
    process.tasks.length,
    0,
    ticks(process.startTimeNs),
    vm,
    rss,
    "18446744073709551615",
    ...[0, 0, 0, 0, 0], // addresses of code and stack, of interest to debuggers only
    BigInt.asIntN(32, pending) & 0x7fffffffn,
    task.blockedSignals & 0x7fffffffn,
    process.ignoredSignals & 0x7fffffffn,
    process.caughtSignals & 0x7fffffffn,
    task.waitChannel === "0" ? 0 : 1,
    0,
    0,
    17, // SIGCHLD
    0,
    0,
    0,
    0,
    0,
    0,
    ...[0, 0, 0, 0, 0, 0, 0],
    process.exitCode,
  ];
  return `${fields.join(" ")}\n`;
}

export function statm(process: ProcessInfo): ByteString {
  const pages = (bytes: number) => Math.floor(bytes / PAGE);
  const size = pages(process.virtualSize);
  const resident = pages(process.residentSize);
  const shared = pages(process.sharedSize);
  return `${size} ${resident} ${shared} 0 0 ${Math.max(0, resident - shared)} 0\n`;
}

const STATES: Record<TaskInfo["state"], string> = {
  R: "running",
  S: "sleeping",
  D: "disk sleep",
  T: "stopped",
  t: "tracing stop",
  Z: "zombie",
  X: "dead",
};

const hex16 = (mask: bigint) => mask.toString(16).padStart(16, "0");

export function status(system: SystemInfo, process: ProcessInfo, task: TaskInfo): ByteString {
  const { credentials: who, state } = task;
  const { capabilities } = process;
  const lines: [string, string | number][] = [
    ["Name", task.comm.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")],
    ["Umask", process.umask.toString(8).padStart(4, "0")],
    ["State", `${state} (${STATES[state]})`],
    ["Tgid", process.pid],
    ["Ngid", 0],
    ["Pid", task.tid],
    ["PPid", process.ppid],
    ["TracerPid", 0],
    ["Uid", [who.ruid, who.euid, who.suid, who.fsuid].join("\t")],
    ["Gid", [who.rgid, who.egid, who.sgid, who.fsgid].join("\t")],
    ["FDSize", 64],
    ["Groups", `${who.groups.join(" ")} `],
    ["NStgid", process.pid],
    ["NSpid", task.tid],
    ["NSpgid", process.pgid],
    ["NSsid", process.sid],
  ];
  if (state !== "Z") {
    const size = kib(process.virtualSize);
    const rss = kib(process.residentSize);
    const shared = kib(process.sharedSize);
    for (const [name, value] of [
      ["VmPeak", size],
      ["VmSize", size],
      ["VmLck", 0],
      ["VmPin", 0],
      ["VmHWM", rss],
      ["VmRSS", rss],
      ["RssAnon", Math.max(0, rss - shared)],
      ["RssFile", shared],
      ["RssShmem", 0],
      ["VmData", Math.max(0, rss - shared)],
      ["VmStk", 132],
      ["VmExe", 0],
      ["VmLib", 0],
      ["VmPTE", 0],
      ["VmSwap", 0],
    ] as const) {
      lines.push([name, `${String(value).padStart(8)} kB`]);
    }
  }
  const last = system.cpuCount - 1;
  lines.push(
    ["Threads", process.tasks.length],
    [
      "SigQ",
      `0/${process.limit(11).soft === Number.POSITIVE_INFINITY ? 0 : process.limit(11).soft}`,
    ],
    ["SigPnd", hex16(task.pendingSignals)],
    ["ShdPnd", hex16(process.sharedPendingSignals)],
    ["SigBlk", hex16(task.blockedSignals)],
    ["SigIgn", hex16(process.ignoredSignals)],
    ["SigCgt", hex16(process.caughtSignals)],
    ["CapInh", hex16(capabilities.inheritable)],
    ["CapPrm", hex16(capabilities.permitted)],
    ["CapEff", hex16(who.capabilities)],
    ["CapBnd", hex16(capabilities.bounding)],
    ["CapAmb", hex16(capabilities.ambient)],
    ["NoNewPrivs", process.noNewPrivs ? 1 : 0],
    ["Seccomp", 0],
    ["Seccomp_filters", 0],
    ["Speculation_Store_Bypass", "vulnerable"],
    ["Cpus_allowed", cpuMask(system.cpuCount)],
    ["Cpus_allowed_list", last === 0 ? "0" : `0-${last}`],
    ["Mems_allowed", "1"],
    ["Mems_allowed_list", "0"],
    ["voluntary_ctxt_switches", 0],
    ["nonvoluntary_ctxt_switches", 0],
  );
  return lines.map(([name, value]) => `${name}:\t${value}\n`).join("");
}

/** Name and unit of each limit, by its RLIMIT_* number. */
const LIMITS: readonly (readonly [name: string, unit: string])[] = [
  ["Max cpu time", "seconds"],
  ["Max file size", "bytes"],
  ["Max data size", "bytes"],
  ["Max stack size", "bytes"],
  ["Max core file size", "bytes"],
  ["Max resident set", "bytes"],
  ["Max processes", "processes"],
  ["Max open files", "files"],
  ["Max locked memory", "bytes"],
  ["Max address space", "bytes"],
  ["Max file locks", "locks"],
  ["Max pending signals", "signals"],
  ["Max msgqueue size", "bytes"],
  ["Max nice priority", ""],
  ["Max realtime priority", ""],
  ["Max realtime timeout", "us"],
];

export function limits(process: ProcessInfo): ByteString {
  const show = (value: number) =>
    (value === Number.POSITIVE_INFINITY ? "unlimited" : String(value)).padEnd(20);
  const head = `${"Limit".padEnd(25)} ${"Soft Limit".padEnd(20)} ${"Hard Limit".padEnd(20)} Units     \n`;
  return (
    head +
    LIMITS.map(([name, unit], resource) => {
      const { soft, hard } = process.limit(resource);
      return `${name.padEnd(25)} ${show(soft)} ${show(hard)} ${unit.padEnd(10)}\n`;
    }).join("")
  );
}
