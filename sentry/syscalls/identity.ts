/** Who a process is: ids, groups, sessions, capabilities. See credentials(7). */
import { EFAULT, EINVAL, EPERM, Errno, ESRCH } from "../abi/errno.ts";
import { CapData, CapHeader } from "../abi/process-structs.ts";
import type { TaskCredentials } from "../kernel/capabilities.ts";
import * as change from "../kernel/identity.ts";
import { setpgid, setsid } from "../kernel/job-groups.ts";
import type { Task } from "../kernel/task.ts";
import { CAP_SETGID, CAP_SETPCAP, isCapable } from "../vfs/credentials.ts";
import { addr, int, uint } from "./args.ts";
import { type Syscall, syscall } from "./define.ts";

/** NGROUPS_MAX. */
const NGROUPS_MAX = 65536;
const CAPABILITY_VERSION_1 = 0x1998_0330;
const CAPABILITY_VERSION_2 = 0x2007_1026;
const CAPABILITY_VERSION_3 = 0x2008_0522;
const LOW_32 = 0xffff_ffffn;

/** Gives the caller new credentials, unless the change is refused. */
function adopt(task: Task, credentials: TaskCredentials | Errno): number | Errno {
  if (credentials instanceof Errno) return credentials;
  const { euid, egid } = task.credentials;
  const { process } = task;
  if (credentials.euid !== euid || credentials.egid !== egid) {
    process.dumpable = 0;
    process.parentDeathSignal = 0;
  }
  task.credentials = credentials;
  return 0;
}

function words(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value, true);
  return bytes;
}

function storeThree(
  task: Task,
  addresses: readonly number[],
  values: readonly number[],
): number | Errno {
  for (const [i, at] of addresses.entries()) {
    const error = task.memory.copyOut(at, words([values[i] ?? 0]));
    if (error !== undefined) return error;
  }
  return 0;
}

function getgroups(task: Task, count: number, at: number): number | Errno {
  const { groups } = task.credentials;
  if (count < 0) return EINVAL;
  if (count === 0) return groups.length;
  if (count < groups.length) return EINVAL;
  return task.memory.copyOut(at, words(groups)) ?? groups.length;
}

function setgroups(task: Task, count: number, at: number): number | Errno {
  const { credentials, memory } = task;
  if (!isCapable(credentials, CAP_SETGID)) return EPERM;
  if (count < 0 || count > NGROUPS_MAX) return EINVAL;
  const raw = count === 0 ? new Uint8Array(0) : memory.copyIn(at, count * 4);
  if (raw instanceof Errno) return raw;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const groups = Array.from({ length: count }, (_, i) => view.getUint32(i * 4, true));
  task.credentials = { ...credentials, groups: groups.sort((a, b) => a - b) };
  return 0;
}

/** The header of capget(2) and capset(2), and how many words of data follow its version. */
function capabilityHeader(task: Task, at: number): { pid: number; words: number } | Errno {
  const raw = task.memory.copyIn(at, CapHeader.size);
  if (raw instanceof Errno) return raw;
  const { version, pid } = CapHeader.parse(raw);
  if (version === CAPABILITY_VERSION_1) return { pid, words: 1 };
  if (version === CAPABILITY_VERSION_2 || version === CAPABILITY_VERSION_3)
    return { pid, words: 2 };
  return task.memory.copyOut(at, words([CAPABILITY_VERSION_3])) ?? EINVAL;
}

function capget(task: Task, headerAt: number, dataAt: number): number | Errno {
  const header = capabilityHeader(task, headerAt);
  // A null data pointer only asks for the version.
  if (header instanceof Errno) return dataAt === 0 && header === EINVAL ? 0 : header;
  if (header.pid < 0) return EINVAL;
  const target = header.pid === 0 ? task : task.kernel.pids.task(header.pid);
  if (target === undefined) return ESRCH;
  if (dataAt === 0) return 0;
  const { capabilities, permitted, inheritable } = target.credentials;
  const bytes = new Uint8Array(CapData.size * header.words);
  for (let i = 0; i < header.words; i++) {
    const word = (set: bigint) => Number((set >> BigInt(32 * i)) & LOW_32);
    const data = {
      effective: word(capabilities),
      permitted: word(permitted),
      inheritable: word(inheritable),
    };
    bytes.set(CapData.bytes(data), i * CapData.size);
  }
  return task.memory.copyOut(dataAt, bytes) ?? 0;
}

function capset(task: Task, headerAt: number, dataAt: number): number | Errno {
  const header = capabilityHeader(task, headerAt);
  if (header instanceof Errno) return header;
  if (header.pid !== 0 && header.pid !== task.tid) return EPERM;
  if (dataAt === 0) return EFAULT;
  const raw = task.memory.copyIn(dataAt, CapData.size * header.words);
  if (raw instanceof Errno) return raw;
  let effective = 0n;
  let permitted = 0n;
  let inheritable = 0n;
  for (let i = 0; i < header.words; i++) {
    const data = CapData.parse(raw.subarray(i * CapData.size));
    const shift = BigInt(32 * i);
    effective |= BigInt(data.effective) << shift;
    permitted |= BigInt(data.permitted) << shift;
    inheritable |= BigInt(data.inheritable) << shift;
  }
  const old = task.credentials;
  const inheritableMax =
    old.inheritable | (isCapable(old, CAP_SETPCAP) ? old.bounding : old.permitted);
  if (inheritable & ~inheritableMax || permitted & ~old.permitted || effective & ~permitted) {
    return EPERM;
  }
  const ambient = old.ambient & permitted & inheritable;
  task.credentials = { ...old, capabilities: effective, permitted, inheritable, ambient };
  return 0;
}

function processOf(task: Task, pid: number) {
  return pid === 0 ? task.process : task.kernel.pids.process(pid);
}

export const IDENTITY: readonly Syscall[] = [
  syscall("getpid", { support: "full", args: {}, run: (task) => task.process.pid }),
  syscall("gettid", { support: "full", args: {}, run: (task) => task.tid }),
  syscall("getppid", {
    support: "full",
    args: {},
    run: (task) => task.process.parent?.pid ?? 0,
  }),
  syscall("getuid", { support: "full", args: {}, run: (task) => task.credentials.ruid }),
  syscall("geteuid", { support: "full", args: {}, run: (task) => task.credentials.euid }),
  syscall("getgid", { support: "full", args: {}, run: (task) => task.credentials.rgid }),
  syscall("getegid", { support: "full", args: {}, run: (task) => task.credentials.egid }),
  syscall("getresuid", {
    support: "full",
    args: { ruid: addr, euid: addr, suid: addr },
    run: (task, { ruid, euid, suid }) => {
      const { credentials: own } = task;
      return storeThree(task, [ruid, euid, suid], [own.ruid, own.euid, own.suid]);
    },
  }),
  syscall("getresgid", {
    support: "full",
    args: { rgid: addr, egid: addr, sgid: addr },
    run: (task, { rgid, egid, sgid }) => {
      const { credentials: own } = task;
      return storeThree(task, [rgid, egid, sgid], [own.rgid, own.egid, own.sgid]);
    },
  }),
  syscall("setuid", {
    support: "full",
    args: { uid: uint },
    run: (task, { uid }) => adopt(task, change.setuid(task.credentials, uid)),
  }),
  syscall("setgid", {
    support: "full",
    args: { gid: uint },
    run: (task, { gid }) => adopt(task, change.setgid(task.credentials, gid)),
  }),
  syscall("setreuid", {
    support: "full",
    args: { ruid: uint, euid: uint },
    run: (task, { ruid, euid }) => adopt(task, change.setreuid(task.credentials, ruid, euid)),
  }),
  syscall("setregid", {
    support: "full",
    args: { rgid: uint, egid: uint },
    run: (task, { rgid, egid }) => adopt(task, change.setregid(task.credentials, rgid, egid)),
  }),
  syscall("setresuid", {
    support: "full",
    args: { ruid: uint, euid: uint, suid: uint },
    run: (task, { ruid, euid, suid }) =>
      adopt(task, change.setresuid(task.credentials, [ruid, euid, suid])),
  }),
  syscall("setresgid", {
    support: "full",
    args: { rgid: uint, egid: uint, sgid: uint },
    run: (task, { rgid, egid, sgid }) =>
      adopt(task, change.setresgid(task.credentials, [rgid, egid, sgid])),
  }),
  syscall("setfsuid", {
    support: "full",
    args: { fsuid: uint },
    run: (task, { fsuid }) => {
      const { fsuid: old } = task.credentials;
      task.credentials = change.setfsuid(task.credentials, fsuid);
      return old;
    },
  }),
  syscall("setfsgid", {
    support: "full",
    args: { fsgid: uint },
    run: (task, { fsgid }) => {
      const { fsgid: old } = task.credentials;
      task.credentials = change.setfsgid(task.credentials, fsgid);
      return old;
    },
  }),
  syscall("getgroups", {
    support: "full",
    args: { size: int, list: addr },
    run: (task, { size, list }) => getgroups(task, size, list),
  }),
  syscall("setgroups", {
    support: "full",
    args: { size: int, list: addr },
    run: (task, { size, list }) => setgroups(task, size, list),
  }),
  syscall("getpgid", {
    support: "full",
    args: { pid: int },
    run: (task, { pid }) => processOf(task, pid)?.group.pgid ?? ESRCH,
  }),
  syscall("getpgrp", { support: "full", args: {}, run: (task) => task.process.group.pgid }),
  syscall("setpgid", {
    support: "full",
    args: { pid: int, pgid: int },
    run: (task, { pid, pgid }) => setpgid(task.process, pid, pgid) ?? 0,
  }),
  syscall("getsid", {
    support: "full",
    args: { pid: int },
    run: (task, { pid }) => processOf(task, pid)?.session.sid ?? ESRCH,
  }),
  syscall("setsid", { support: "full", args: {}, run: (task) => setsid(task.process) }),
  syscall("capget", {
    support: "full",
    args: { header: addr, data: addr },
    run: (task, { header, data }) => capget(task, header, data),
  }),
  syscall("capset", {
    support: "full",
    args: { header: addr, data: addr },
    run: (task, { header, data }) => capset(task, header, data),
  }),
];
