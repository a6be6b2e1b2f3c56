/** The files of `/proc` that are about the system as a whole. See proc(5). */
import type { ByteString } from "../../abi/bytes.ts";
import { Errno } from "../../abi/errno.ts";
import { closeFd, HOST_O, openHostPath, read } from "../../host/fs.ts";
import type { Text } from "../virtual/nodes.ts";
import type { SystemInfo } from "./info.ts";

const TICK_NS = 10_000_000n;
const SECOND_NS = 1_000_000_000n;

/** Longest text taken from the host. */
const HOST_TEXT_MAX = 1 << 20;

/** A text of the host's own `/proc`. */
function hostText(path: ByteString): ByteString | Errno {
  const fd = openHostPath(path, HOST_O.RDONLY);
  if (fd instanceof Errno) return fd;
  const bytes = Buffer.allocUnsafe(1 << 16);
  let text = "";
  while (text.length < HOST_TEXT_MAX) {
    const count = read(fd, bytes, bytes.length);
    if (count instanceof Errno || count === 0) break;
    text += bytes.toString("latin1", 0, count);
  }
  closeFd(fd);
  return text;
}

const HOST_MACHINES: Partial<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/** The names of AT_HWCAP's bits, from the lowest, as Linux has them for arm64. */
const ARM64_FEATURES =
  "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma " +
  "lrcpc dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg";

/** The host's own description where guest and host are of one kind, else the least a program can expect. */
function cpuinfo(system: SystemInfo): ByteString | Errno {
  if (HOST_MACHINES[process.arch] === system.machine) return hostText("/proc/cpuinfo");
  const features = ARM64_FEATURES.split(" ").filter((_, bit) => (system.hwcap >> BigInt(bit)) & 1n);
  const cpus = Array.from({ length: system.cpuCount }, (_, index) =>
    system.machine === "aarch64"
      ? `processor\t: ${index}\nBogoMIPS\t: 2000.00\nFeatures\t: ${features.join(" ")}\n` +
        // What MIDR_EL1 says to a program that asks the processor: guest/isa/a64/features.h.
        "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n" +
        "CPU revision\t: 1\n\n"
      : `processor\t: ${index}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 15\n` +
        "model name\t: virtual\nstepping\t: 0\ncpu MHz\t\t: 1000.000\ncache size\t: 0 KB\n" +
        `cpu cores\t: ${system.cpuCount}\nflags\t\t: fpu tsc cx8 cmov mmx fxsr sse sse2 lm\n\n`,
  );
  return cpus.join("");
}

function meminfo(system: SystemInfo): ByteString {
  const total = Math.floor(system.memoryTotal / 1024);
  const free = Math.floor(system.memoryFree / 1024);
  const rows: [string, number][] = [
    ["MemTotal", total],
    ["MemFree", free],
    ["MemAvailable", free],
    ["Buffers", 0],
    ["Cached", 0],
    ["SwapCached", 0],
    ["Active", Math.max(0, total - free)],
    ["Inactive", 0],
    ["SwapTotal", 0],
    ["SwapFree", 0],
    ["Dirty", 0],
    ["Writeback", 0],
    ["AnonPages", Math.max(0, total - free)],
    ["Mapped", 0],
    ["Shmem", 0],
    ["Slab", 0],
    ["SReclaimable", 0],
    ["SUnreclaim", 0],
    ["CommitLimit", total],
    ["Committed_AS", Math.max(0, total - free)],
    ["VmallocTotal", 34359738367],
    ["VmallocUsed", 0],
  ];
  const lines = rows.map(
    ([name, value]) => `${`${name}:`.padEnd(16)}${String(value).padStart(8)} kB\n`,
  );
  return `${lines.join("")}HugePages_Total:       0\nHugepagesize:       2048 kB\n`;
}

function stat(system: SystemInfo): ByteString {
  const { cpuCount, userTimeNs, systemTimeNs, uptimeNs } = system;
  const user = userTimeNs / TICK_NS;
  const kernel = systemTimeNs / TICK_NS;
  const busy = user + kernel;
  const all = (uptimeNs / TICK_NS) * BigInt(cpuCount);
  const idle = all > busy ? all - busy : 0n;
  const line = (name: string, parts: bigint) =>
    `${name} ${user / parts} 0 ${kernel / parts} ${idle / parts} 0 0 0 0 0 0\n`;
  const cpus = Array.from({ length: cpuCount }, (_, i) => line(`cpu${i}`, BigInt(cpuCount)));
  let running = 0;
  for (const process of system.processes()) {
    running += process.tasks.filter((task) => task.state === "R").length;
  }
  return (
    `${line("cpu ", 1n)}${cpus.join("")}intr 0\nctxt 0\nbtime ${system.bootTimeNs / SECOND_NS}\n` +
    `processes ${system.forks}\nprocs_running ${Math.max(1, running)}\nprocs_blocked 0\n` +
    "softirq 0 0 0 0 0 0 0 0 0 0 0\n"
  );
}

function hundredths(ns: bigint): string {
  const ticks = ns / TICK_NS;
  return `${ticks / 100n}.${String(ticks % 100n).padStart(2, "0")}`;
}

function uptime({ uptimeNs, userTimeNs, systemTimeNs, cpuCount }: SystemInfo): ByteString {
  const idle = uptimeNs * BigInt(cpuCount) - userTimeNs - systemTimeNs;
  return `${hundredths(uptimeNs)} ${hundredths(idle > 0n ? idle : 0n)}\n`;
}

function loadavg(system: SystemInfo): ByteString {
  let running = 0;
  let tasks = 0;
  for (const process of system.processes()) {
    tasks += process.tasks.length;
    running += process.tasks.filter((task) => task.state === "R").length;
  }
  const host = hostText("/proc/loadavg");
  const averages = host instanceof Errno ? "0.00 0.00 0.00" : host.split(" ").slice(0, 3).join(" ");
  return `${averages} ${Math.max(1, running)}/${tasks} ${system.lastPid}\n`;
}

const FILE_SYSTEMS = [
  "sysfs",
  "tmpfs",
  "proc",
  "devtmpfs",
  "devpts",
  "mqueue",
  "cgroup2",
  "overlay",
];

/** The files by name. */
export function systemFiles(system: SystemInfo): ReadonlyMap<ByteString, Text> {
  const files: Record<string, () => ByteString | Errno> = {
    cpuinfo: () => cpuinfo(system),
    meminfo: () => meminfo(system),
    stat: () => stat(system),
    uptime: () => uptime(system),
    loadavg: () => loadavg(system),
    version: () => `Linux version ${system.release} (dd@dd) (dd) ${system.version}\n`,
    cmdline: () => `${system.bootCommandLine}\n`,
    filesystems: () => `${FILE_SYSTEMS.map((name) => `nodev\t${name}\n`).join("")}\text4\n`,
    devices: () =>
      "Character devices:\n  1 mem\n  4 tty\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\n" +
      "Block devices:\n",
    misc: () => "",
    modules: () => "",
    partitions: () => "major minor  #blocks  name\n\n",
    diskstats: () => "",
    swaps: () => "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
    interrupts: () => "",
    vmstat: () => "nr_free_pages 0\npgfault 0\npgmajfault 0\npswpin 0\npswpout 0\n",
    cgroups: () => "#subsys_name\thierarchy\tnum_cgroups\tenabled\n",
    execdomains: () => "0-0\tLinux           \t[kernel]\n",
  };
  return new Map(Object.entries(files).map(([name, read]) => [name, { read }]));
}
