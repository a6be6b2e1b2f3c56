/** `/proc/PID` and `/proc/PID/task/TID`. See proc(5). */
import type { ByteString } from "../../abi/bytes.ts";
import { EACCES, EINVAL, ENOENT, Errno, ESRCH } from "../../abi/errno.ts";
import { direntType, guestOpenFlags, O_CLOEXEC, S_IFDIR, S_IFLNK } from "../../abi/file.ts";
import { placeOfFile } from "../../vfs/description.ts";
import { VfsFile } from "../../vfs/file.ts";
import type { Actor } from "../../vfs/fs-context.ts";
import type { DirectoryEntry, Inode } from "../../vfs/inode.ts";
import { type Path, pathName } from "../../vfs/mount.ts";
import type { OpenFile } from "../../vfs/open-file.ts";
import {
  FixedDirectory,
  LinkNode,
  type OwnerOf,
  type Text,
  TextNode,
  VirtualDirectory,
  type VirtualFs,
} from "../virtual/nodes.ts";
import type { ProcessInfo, SystemInfo, TaskInfo } from "./info.ts";
import { mayInspect } from "./inspect.ts";
import { mapsLine, rollup, smapsEntry } from "./maps.ts";
import { mountinfo, mountsTable } from "./mounts.ts";
import { networkDirectory } from "./network.ts";
import { limits, statLine, statm, status } from "./status.ts";

/** Finds the process again each time: what a directory stands for can have ended. */
type FindProcess = () => ProcessInfo | Errno;

/** What the nodes of one process have in common. */
interface Context {
  readonly fs: VirtualFs;
  readonly system: SystemInfo;
  readonly find: FindProcess;
  readonly owner: OwnerOf;
}

const DECIMAL = /^(0|[1-9][0-9]{0,9})$/;

/** The number a directory entry's name is, or undefined. */
export function numberName(name: ByteString): number | undefined {
  return DECIMAL.test(name) ? Number(name) : undefined;
}

/** What only those see who may look into the process. */
function inspected(
  context: Context,
  read: (process: ProcessInfo) => ByteString | Uint8Array,
): Text {
  return {
    read: (actor) => {
      const process = context.find();
      if (process instanceof Errno) return process;
      return mayInspect(actor, process) ? read(process) : EACCES;
    },
  };
}

function ofProcess(
  context: Context,
  read: (process: ProcessInfo) => ByteString | Uint8Array,
): Text {
  return {
    read: () => {
      const process = context.find();
      return process instanceof Errno ? process : read(process);
    },
  };
}

/** `/proc/PID`. Opened, it stands for the process, for pidfd_send_signal(2). */
export class ProcessDirectory extends FixedDirectory {
  readonly pid: number;
  /** When the process started: its number may be another one's later. */
  readonly started: bigint | undefined;

  constructor(fs: VirtualFs, owner: OwnerOf, pid: number, started: bigint | undefined) {
    super(fs, 0o555, owner);
    this.pid = pid;
    this.started = started;
  }
}

/** The directory of a process. */
export function processDirectory(fs: VirtualFs, system: SystemInfo, pid: number): FixedDirectory {
  const find = () => system.process(pid) ?? ESRCH;
  const context: Context = { fs, system, find, owner: ownerOf(find) };
  const started = system.process(pid)?.startTimeNs;
  const directory = new ProcessDirectory(fs, context.owner, pid, started);
  fillThreadDirectory(directory, context, pid, true);
  directory.add("task", new TaskDirectory(context));
  return directory;
}

function ownerOf(find: FindProcess): OwnerOf {
  return () => {
    const process = find();
    const who = process instanceof Errno ? undefined : process.tasks[0]?.credentials;
    return { uid: who?.euid ?? 0, gid: who?.egid ?? 0 };
  };
}

function threadDirectory(context: Context, tid: number, whole: boolean): FixedDirectory {
  const directory = new FixedDirectory(context.fs, 0o555, context.owner);
  fillThreadDirectory(directory, context, tid, whole);
  return directory;
}

function fillThreadDirectory(
  directory: FixedDirectory,
  context: Context,
  tid: number,
  whole: boolean,
): void {
  const { fs, system, owner } = context;
  const text = (
    name: ByteString,
    read: (p: ProcessInfo) => ByteString | Uint8Array,
    mode = 0o444,
  ) => directory.add(name, new TextNode(fs, ofProcess(context, read), mode, owner));
  const inside = (
    name: ByteString,
    read: (p: ProcessInfo) => ByteString | Uint8Array,
    mode = 0o444,
  ) => directory.add(name, new TextNode(fs, inspected(context, read), mode, owner));
  const ofTask = (
    name: ByteString,
    read: (p: ProcessInfo, task: TaskInfo) => ByteString,
    mode?: number,
  ) =>
    directory.add(
      name,
      new TextNode(
        fs,
        {
          read: () => {
            const process = context.find();
            if (process instanceof Errno) return process;
            const task = process.tasks.find((each) => each.tid === tid);
            return task === undefined ? ESRCH : read(process, task);
          },
        },
        mode ?? 0o444,
        owner,
      ),
    );

  ofTask("stat", (process, task) => statLine(process, task, whole));
  ofTask("status", (process, task) => status(system, process, task));
  ofTask("wchan", (_process, task) => task.waitChannel);
  ofTask("schedstat", (_process, task) => `${task.userTimeNs + task.systemTimeNs} 0 0\n`);
  text("statm", statm);
  text("cmdline", (process) => process.commandLine());
  inside("environ", (process) => process.environment(), 0o400);
  inside("auxv", (process) => process.auxv(), 0o400);
  inside("maps", (process) => process.mappings().map(mapsLine).join(""));
  inside("smaps", (process) => process.mappings(true).map(smapsEntry).join(""));
  inside("smaps_rollup", (process) => rollup(process));
  text("limits", limits);
  text("cgroup", () => "0::/\n");
  text("oom_score", () => "0\n");
  text("oom_adj", () => "0\n");
  text("loginuid", () => "4294967295");
  text("sessionid", () => "4294967295");
  text("personality", () => "00000000\n", 0o400);
  text("uid_map", () => "         0          0 4294967295\n");
  text("gid_map", () => "         0          0 4294967295\n");
  text("setgroups", () => "allow\n");
  text("io", ioText, 0o400);
  directory.add("comm", new TextNode(fs, comm(context, tid), 0o644, owner));
  directory.add("oom_score_adj", new TextNode(fs, oomScoreAdj(context), 0o644, owner));
  directory.add("mounts", new TextNode(fs, { read: mountsTable }));
  directory.add("mountinfo", new TextNode(fs, { read: mountinfo }));
  for (const name of ["exe", "cwd", "root"] as const) {
    directory.add(
      name,
      new LinkNode(
        fs,
        placeLink(context, (process) => process[name]),
        owner,
      ),
    );
  }
  directory.add("fd", new DescriptorDirectory(context, false));
  directory.add("fdinfo", new DescriptorDirectory(context, true));
  directory.add("ns", namespaces(context));
  directory.add("net", networkDirectory(fs, system.network));
}

function comm(context: Context, tid: number): Text {
  return {
    read: () => {
      const process = context.find();
      if (process instanceof Errno) return process;
      const task = process.tasks.find((each) => each.tid === tid);
      return task === undefined ? ESRCH : `${task.comm}\n`;
    },
    write: (text) => {
      const process = context.find();
      if (process instanceof Errno) return process;
      process.setComm(tid, text.replace(/[\0\n].*$/s, "").slice(0, 15));
      return undefined;
    },
  };
}

function oomScoreAdj(context: Context): Text {
  return {
    read: () => {
      const process = context.find();
      return process instanceof Errno ? process : `${process.oomScoreAdj}\n`;
    },
    write: (text) => {
      const process = context.find();
      if (process instanceof Errno) return process;
      const value = text.trim();
      if (!/^-?[0-9]{1,4}$/.test(value) || Math.abs(Number(value)) > 1000) return EINVAL;
      process.setOomScoreAdj(Number(value));
      return undefined;
    },
  };
}

function ioText(): ByteString {
  const names = ["rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes"];
  return [...names, "cancelled_write_bytes"].map((name) => `${name}: 0\n`).join("");
}

/** A magic link to a place the process holds. */
function placeLink(context: Context, of: (process: ProcessInfo) => Path | undefined) {
  const place = (actor: Actor): Path | Errno => {
    const process = context.find();
    if (process instanceof Errno) return process;
    if (!mayInspect(actor, process)) return EACCES;
    return of(process) ?? ENOENT;
  };
  return {
    place,
    text: (actor: Actor) => {
      const path = place(actor);
      return path instanceof Errno ? path : pathName(path, actor.fs.root);
    },
  };
}

const NAMESPACES: readonly (readonly [name: string, ino: number])[] = [
  ["cgroup", 4026531835],
  ["ipc", 4026531839],
  ["mnt", 4026531841],
  ["net", 4026531840],
  ["pid", 4026531836],
  ["pid_for_children", 4026531836],
  ["user", 4026531837],
  ["uts", 4026531838],
];

function namespaces({ fs, owner }: Context): FixedDirectory {
  const directory = new FixedDirectory(fs, 0o511, owner);
  for (const [name, ino] of NAMESPACES) {
    const kind = name === "pid_for_children" ? "pid" : name;
    directory.add(name, new LinkNode(fs, { text: () => `${kind}:[${ino}]` }, owner));
  }
  return directory;
}

/** `task`: one directory per thread. */
class TaskDirectory extends VirtualDirectory {
  readonly #context: Context;
  readonly #threads = new Map<number, FixedDirectory>();

  constructor(context: Context) {
    super(context.fs, 0o555, context.owner);
    this.#context = context;
  }

  override lookup(name: ByteString): Inode | Errno {
    const tid = numberName(name);
    const process = this.#context.find();
    if (process instanceof Errno || tid === undefined) return ENOENT;
    if (!process.tasks.some((task) => task.tid === tid)) {
      this.#threads.delete(tid);
      return ENOENT;
    }
    let directory = this.#threads.get(tid);
    if (directory === undefined) {
      directory = threadDirectory(this.#context, tid, false);
      this.#threads.set(tid, directory);
    }
    return directory;
  }

  override entries(): DirectoryEntry[] | Errno {
    const process = this.#context.find();
    if (process instanceof Errno) return process;
    const type = direntType(S_IFDIR);
    return process.tasks.map(({ tid }) => ({ name: String(tid), ino: this.ino + tid, type }));
  }
}

/** `fd`, and `fdinfo`. */
class DescriptorDirectory extends VirtualDirectory {
  readonly #context: Context;
  readonly #info: boolean;
  readonly #nodes = new Map<number, Inode>();

  constructor(context: Context, info: boolean) {
    super(context.fs, info ? 0o555 : 0o500, context.owner);
    this.#context = context;
    this.#info = info;
  }

  #file(fd: number): OpenFile | Errno {
    const process = this.#context.find();
    if (process instanceof Errno) return process;
    return process.descriptor(fd) ?? ENOENT;
  }

  override lookup(name: ByteString): Inode | Errno {
    const fd = numberName(name);
    if (fd === undefined || this.#file(fd) instanceof Errno) {
      if (fd !== undefined) this.#nodes.delete(fd);
      return ENOENT;
    }
    let node = this.#nodes.get(fd);
    if (node === undefined) {
      node = this.#info ? this.#infoNode(fd) : this.#link(fd);
      this.#nodes.set(fd, node);
    }
    return node;
  }

  #link(fd: number): Inode {
    const link = {
      text: (actor: Actor) => {
        const file = this.#file(fd);
        if (file instanceof Errno) return file;
        return file instanceof VfsFile && file.path.mount.at !== undefined
          ? pathName(file.path, actor.fs.root)
          : file.name;
      },
      place: (actor: Actor) => {
        const process = this.#context.find();
        if (process instanceof Errno) return process;
        if (!mayInspect(actor, process)) return EACCES;
        const file = this.#file(fd);
        return file instanceof Errno ? file : placeOfFile(file, actor.fs.root.mount.namespace);
      },
    };
    return new LinkNode(this.fs, link, this.#context.owner, 0o700);
  }

  #infoNode(fd: number): Inode {
    const read = () => {
      const file = this.#file(fd);
      if (file instanceof Errno) return file;
      const at = file.seek(0, 1);
      const position = at instanceof Errno ? 0 : at;
      const isa = this.#context.system.machine === "aarch64" ? "arm64" : "x86_64";
      const flags = guestOpenFlags(isa, file.flags & ~O_CLOEXEC).toString(8);
      const mount = file instanceof VfsFile ? file.path.mount.id : 0;
      const stat = file.stat();
      const ino = stat instanceof Errno ? 0 : stat.ino;
      return `pos:\t${position}\nflags:\t0${flags}\nmnt_id:\t${mount}\nino:\t${ino}\n`;
    };
    return new TextNode(this.fs, { read }, 0o444, this.#context.owner);
  }

  override entries(): DirectoryEntry[] | Errno {
    const process = this.#context.find();
    if (process instanceof Errno) return process;
    const type = this.#info ? 8 : direntType(S_IFLNK);
    const entries: DirectoryEntry[] = [];
    for (const [fd] of process.descriptors()) {
      entries.push({ name: String(fd), ino: this.ino + fd + 1, type });
    }
    return entries;
  }
}
