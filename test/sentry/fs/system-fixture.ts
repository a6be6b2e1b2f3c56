/** A container's processes as `/proc` sees them, made up. */
import type { ProcessInfo, SystemInfo, TaskInfo } from "../../../sentry/fs/proc/info.ts";
import { ROOT_CREDENTIALS } from "../../../sentry/vfs/credentials.ts";
import type { Path } from "../../../sentry/vfs/mount.ts";
import type { OpenFile } from "../../../sentry/vfs/open-file.ts";

/** One process, pid 1, whose places and descriptors the test sets. */
export class FakeProcess implements ProcessInfo {
  readonly pid = 1;
  readonly ppid = 0;
  readonly pgid = 1;
  readonly sid = 1;
  readonly tty = 0;
  readonly tpgid = -1;
  readonly startTimeNs = 120_000_000n;
  readonly childUserTimeNs = 0n;
  readonly childSystemTimeNs = 0n;
  readonly virtualSize = 8192 * 1024;
  readonly residentSize = 4096 * 1024;
  readonly sharedSize = 1024 * 1024;
  readonly minorFaults = 1;
  readonly majorFaults = 0;
  readonly sharedPendingSignals = 0n;
  readonly ignoredSignals = 0n;
  readonly caughtSignals = 2n;
  readonly exitCode = 0;
  oomScoreAdj = 0;
  readonly noNewPrivs = false;
  readonly capabilities = {
    inheritable: 0n,
    permitted: 0xa80425fbn,
    bounding: 0xa80425fbn,
    ambient: 0n,
  };
  readonly umask = 0o022;
  exe: Path | undefined;
  cwd: Path | undefined;
  root: Path | undefined;
  readonly files = new Map<number, OpenFile>();
  comm = "sh";

  get tasks(): readonly TaskInfo[] {
    return [
      {
        tid: 1,
        comm: this.comm,
        state: "R",
        credentials: ROOT_CREDENTIALS,
        userTimeNs: 50_000_000n,
        systemTimeNs: 10_000_000n,
        pendingSignals: 0n,
        blockedSignals: 0n,
        nice: 0,
        waitChannel: "0",
      },
    ];
  }
  commandLine(): Uint8Array {
    return Buffer.from("sh\0-c\0true\0");
  }
  environment(): Uint8Array {
    return Buffer.from("PATH=/bin\0");
  }
  auxv(): Uint8Array {
    return new Uint8Array(16);
  }
  mappings() {
    const where = {
      start: 0x400000,
      end: 0x401000,
      prot: 5,
      shared: false,
      offset: 0,
      dev: 0,
      ino: 9,
    };
    return [{ ...where, name: "/bin/sh" }];
  }
  descriptors() {
    return this.files.entries();
  }
  descriptor(fd: number) {
    return this.files.get(fd);
  }
  limit() {
    return { soft: 1024, hard: Number.POSITIVE_INFINITY };
  }
  setComm(_tid: number, comm: string): void {
    this.comm = comm;
  }
  setOomScoreAdj(value: number): void {
    this.oomScoreAdj = value;
  }
}

export function fakeSystem(init: FakeProcess): SystemInfo {
  return {
    processes: () => [init],
    process: (pid) => (pid === 1 ? init : undefined),
    hostname: "box",
    ipcText: () => "",
    domainname: "(none)",
    release: "6.1.0",
    version: "#1 SMP",
    machine: process.arch === "arm64" ? "aarch64" : "x86_64",
    bootCommandLine: "quiet",
    cpuCount: 2,
    hwcap: 3n,
    uptimeNs: 12_340_000_000n,
    bootTimeNs: 1_700_000_000_000_000_000n,
    userTimeNs: 1_000_000_000n,
    systemTimeNs: 500_000_000n,
    forks: 3,
    lastPid: 3,
    pidMax: 4194304,
    memoryTotal: 1 << 30,
    memoryFree: 1 << 29,
    bootId: "3d1f0f5e-0000-4000-8000-000000000000",
  };
}
