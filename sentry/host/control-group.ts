/** Control groups of the host: what holds all processes of a container to one limit. See cgroups(7). */
import { readdirSync, readFileSync } from "node:fs";
import type { ByteString } from "../abi/bytes.ts";
import { EBUSY, EINVAL, ENOENT, Errno, ESRCH } from "../abi/errno.ts";
import { call } from "./call.ts";
import { AT_FDCWD, closeFd, HOST_O, mkdirAt, openHostPath, rmdirAt, write } from "./fs.ts";

/** Absent: not limited. */
export interface ControlGroupLimits {
  /** Memory of all processes together; beyond it the host kills one of them. */
  readonly memoryBytes?: number;
  /** Processes and threads together; beyond it fork fails with EAGAIN. */
  readonly processes?: number;
  /** CPUs' worth of time in each period of a tenth of a second. */
  readonly cpus?: number;
}

type Controller = "memory" | "pids" | "cpu";

/** A directory below which groups can be made, and the dialect of its files. */
interface Hierarchy {
  readonly parent: string;
  readonly version: 1 | 2;
}

const CPU_PERIOD_US = 100_000;
/** The least quota that the kernel takes. */
const CPU_QUOTA_US_MIN = 1000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const SIGKILL = 9;
/** How often to look whether the last member has gone, and for how long to rest in between. */
const REMOVE_ATTEMPTS = 400;
const REMOVE_PAUSE_MS = 5;
const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4));
/** Our groups: the name of the container, then the process that made the group. */
const OURS = /^dd-.+-(\d+)$/;

let probed: Readonly<Record<Controller, boolean>> | undefined;

/**
 * One container's group. It holds the processes that are added and all that they fork. The files and
 * pipes that the sentry keeps for the container are the sentry's, and not counted.
 */
export class ControlGroup {
  readonly #directories: readonly string[];

  private constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  /**
   * Makes the group. Groups that a killed sentry left behind are removed on the way.
   * @returns the host's error when a limit cannot be had: ENOENT without the controller, EACCES or EPERM
   *   when it is not delegated to this user; then there is no group.
   */
  static create(name: string, limits: ControlGroupLimits): ControlGroup | Errno {
    if (!NAME.test(name)) return EINVAL;
    const wanted: Controller[] = [];
    if (limits.memoryBytes !== undefined) wanted.push("memory");
    if (limits.processes !== undefined) wanted.push("pids");
    if (limits.cpus !== undefined) wanted.push("cpu");
    const made: string[] = [];
    const group = new ControlGroup(made);
    for (const controller of wanted) {
      const hierarchy = hierarchyOf(controller, wanted);
      const failed =
        hierarchy === undefined ? ENOENT : enter(hierarchy, name, controller, limits, made);
      if (failed !== undefined) {
        group.remove();
        return failed;
      }
    }
    return group;
  }

  /** Which limits this user could give a group; tried once, with a group that is removed again. */
  static probe(): Readonly<Record<"memory" | "pids" | "cpu", boolean>> {
    const can = (limits: ControlGroupLimits): boolean => {
      const group = ControlGroup.create("probe", limits);
      if (group instanceof Errno) return false;
      group.remove();
      return true;
    };
    probed ??= {
      memory: can({ memoryBytes: 1 << 30 }),
      pids: can({ processes: 1 << 20 }),
      cpu: can({ cpus: 1 }),
    };
    return probed;
  }

  /**
   * Changes limits that the group has. @returns the host's error: ENOENT when it was made without that limit.
   */
  update(limits: ControlGroupLimits): Errno | undefined {
    const set = (limited: number | undefined, controller: Controller): Errno | undefined =>
      limited === undefined
        ? undefined
        : (this.#directories
            .map((directory) => limit(directory, controller, limits))
            .find((failed) => failed !== ENOENT) ?? (this.#has(controller) ? undefined : ENOENT));
    return (
      set(limits.memoryBytes, "memory") ?? set(limits.processes, "pids") ?? set(limits.cpus, "cpu")
    );
  }

  #has(controller: Controller): boolean {
    return this.#directories.some((directory) =>
      LIMIT_FILES[controller].some((file) => exists(`${directory}/${file}`)),
    );
  }

  /** Moves a process, with all its threads, into the group. */
  add(pid: number): Errno | undefined {
    for (const directory of this.#directories) {
      const failed = writeControl(`${directory}/cgroup.procs`, `${pid}`);
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  /** How many of its processes the host has killed because there was no memory left for them. */
  oomKills(): number {
    for (const directory of this.#directories) {
      for (const file of ["memory.events", "memory.oom_control"]) {
        const count = /^oom_kill (\d+)$/m.exec(readText(`${directory}/${file}`))?.[1];
        if (count !== undefined) return Number(count);
      }
    }
    return 0;
  }

  /** Memory in use in bytes, cached file contents included; undefined when that is not limited. */
  memoryBytes(): number | undefined {
    for (const directory of this.#directories) {
      for (const file of ["memory.current", "memory.usage_in_bytes"]) {
        const text = readText(`${directory}/${file}`);
        if (text !== "") return Number(text);
      }
    }
    return undefined;
  }

  /** Ends the processes that are left and removes the group. */
  remove(): void {
    for (const directory of this.#directories) removeWithMembers(directory);
  }
}

/** Makes the group's directory in one hierarchy, unless it is there from another controller, and limits it. */
function enter(
  { parent }: Hierarchy,
  name: string,
  controller: Controller,
  limits: ControlGroupLimits,
  made: string[],
): Errno | undefined {
  const directory = `${parent}/dd-${name}-${process.pid}`;
  if (!made.includes(directory)) {
    sweep(parent);
    const failed = mkdirAt(AT_FDCWD, directory, 0o755);
    if (failed !== undefined) return failed;
    made.push(directory);
  }
  return limit(directory, controller, limits);
}

/** The file that a controller's limit is in, in each dialect. */
const LIMIT_FILES: Readonly<Record<Controller, readonly string[]>> = {
  memory: ["memory.max", "memory.limit_in_bytes"],
  pids: ["pids.max"],
  cpu: ["cpu.max", "cpu.cfs_quota_us"],
};

/** Sets a limit in a group's directory. @returns ENOENT when the directory is not that controller's. */
function limit(
  directory: string,
  controller: Controller,
  limits: ControlGroupLimits,
): Errno | undefined {
  switch (controller) {
    case "pids":
      return writeControl(`${directory}/pids.max`, `${limits.processes}`);
    case "cpu": {
      const quota = Math.max(CPU_QUOTA_US_MIN, Math.round((limits.cpus ?? 0) * CPU_PERIOD_US));
      const failed = writeControl(`${directory}/cpu.max`, `${quota} ${CPU_PERIOD_US}`);
      if (failed !== ENOENT) return failed;
      return (
        writeControl(`${directory}/cpu.cfs_period_us`, `${CPU_PERIOD_US}`) ??
        writeControl(`${directory}/cpu.cfs_quota_us`, `${quota}`)
      );
    }
    case "memory":
      return limitMemory(directory, limits.memoryBytes ?? 0);
  }
}

function limitMemory(directory: string, bytes: number): Errno | undefined {
  const modern = writeControl(`${directory}/memory.max`, `${bytes}`);
  // Without swap accounting there is no such file, and nothing to forbid.
  const unlessMissing = (failed: Errno | undefined) => (failed === ENOENT ? undefined : failed);
  if (modern !== ENOENT) {
    return modern ?? unlessMissing(writeControl(`${directory}/memory.swap.max`, "0"));
  }
  const both = (order: readonly string[]): Errno | undefined => {
    for (const file of order) {
      const failed = writeControl(`${directory}/${file}`, `${bytes}`);
      if (failed !== undefined && !(failed === ENOENT && file === SWAPPED)) return failed;
    }
    return undefined;
  };
  // Memory with swap is never less than memory: which is first depends on where they go.
  const failed = both(["memory.limit_in_bytes", SWAPPED]);
  return failed === EINVAL ? both([SWAPPED, "memory.limit_in_bytes"]) : failed;
}

const SWAPPED = "memory.memsw.limit_in_bytes";

/** Where a controller's groups can be made; the unified hierarchy must have all that are wanted. */
function hierarchyOf(controller: Controller, wanted: readonly Controller[]): Hierarchy | undefined {
  const mounts = cgroupMounts();
  const unified = mounts.find((mount) => mount.version === 2);
  if (unified !== undefined) {
    const own = ownGroup("");
    // A group with processes, such as our own, cannot have limited children: the one above can.
    const above = own.replace(/\/[^/]*$/, "");
    for (const group of [above, own, ""]) {
      const parent = `${unified.path}${group}`;
      if (delegates(parent, wanted)) return { parent, version: 2 };
    }
  }
  const mount = mounts.find(({ controllers }) => controllers.includes(controller));
  if (mount === undefined) return undefined;
  // In a container the group has the host's name, but is mounted as the root.
  const named = `${mount.path}${ownGroup(controller)}`;
  return { parent: exists(named) ? named : mount.path, version: 1 };
}

/** Whether groups made below a version 2 group get these controllers; asks for them where it may. */
function delegates(parent: string, wanted: readonly Controller[]): boolean {
  const file = `${parent}/cgroup.subtree_control`;
  const has = (): boolean => {
    const active = readText(file).trim().split(" ");
    return wanted.every((controller) => active.includes(controller));
  };
  if (has()) return true;
  const asked = writeControl(file, wanted.map((controller) => `+${controller}`).join(" "));
  return asked === undefined && has();
}

interface CgroupMount {
  readonly path: string;
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
}

/** The control group file systems in /proc/self/mountinfo; see proc_pid_mountinfo(5). */
function cgroupMounts(): readonly CgroupMount[] {
  return readText("/proc/self/mountinfo")
    .split("\n")
    .flatMap((line): CgroupMount[] => {
      const [before = "", after = ""] = line.split(" - ");
      const [type, , options = ""] = after.split(" ");
      const path = before.split(" ")[4];
      if (path === undefined) return [];
      if (type === "cgroup2") return [{ path, version: 2, controllers: [] }];
      return type === "cgroup" ? [{ path, version: 1, controllers: options.split(",") }] : [];
    });
}

/** The group of this process in a version 1 hierarchy, or for "" in the unified one; "" for the root. */
function ownGroup(controller: Controller | ""): string {
  for (const line of readText("/proc/self/cgroup").split("\n")) {
    const [, controllers, ...path] = line.split(":");
    if (controllers?.split(",").includes(controller) === true)
      return path.join(":").replace(/\/$/, "");
  }
  return "";
}

/** Removes what sentries that are no more have left in a group. One that is in use does not go. */
function sweep(parent: string): void {
  let names: string[] = [];
  try {
    names = readdirSync(parent);
  } catch {
    return;
  }
  for (const name of names) {
    const pid = OURS.exec(name)?.[1];
    if (pid !== undefined && call("kill", Number(pid), 0) === ESRCH) {
      rmdirAt(AT_FDCWD, `${parent}/${name}`);
    }
  }
}

/** A process that was killed stays a member until its memory is freed: there may be something to wait for. */
function removeWithMembers(directory: string): void {
  for (let attempt = 0; attempt < REMOVE_ATTEMPTS; attempt++) {
    for (const pid of readText(`${directory}/cgroup.procs`).split("\n").map(Number)) {
      // 0 is a member that our pid namespace does not show; to kill(2) it is our own process group.
      if (pid > 0) call("kill", pid, SIGKILL);
    }
    if (rmdirAt(AT_FDCWD, directory) !== EBUSY) return;
    Atomics.wait(NEVER_WOKEN, 0, 0, REMOVE_PAUSE_MS);
  }
}

function writeControl(path: ByteString, text: string): Errno | undefined {
  const fd = openHostPath(path, HOST_O.WRONLY);
  if (fd instanceof Errno) return fd;
  const bytes = Buffer.from(text);
  const written = write(fd, bytes, bytes.length);
  closeFd(fd);
  return written instanceof Errno ? written : undefined;
}

function exists(path: ByteString): boolean {
  const fd = openHostPath(path, HOST_O.PATH);
  if (fd instanceof Errno) return false;
  closeFd(fd);
  return true;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
