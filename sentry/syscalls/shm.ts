/** Shared memory of System V. See shmop(2). */
import { EACCES, EINVAL, EPERM, Errno } from "../abi/errno.ts";
import { makeDev, O_RDONLY } from "../abi/file.ts";
import { ipcPerm, ShmInfo, ShmidDs, Shminfo } from "../abi/ipc-structs.ts";
import type { MappingInfo } from "../fs/proc/info.ts";
import { reopen } from "../host/fs.ts";
import { IPC_READ, IPC_WRITE } from "../ipc/object.ts";
import type { SharedSegment } from "../ipc/segments.ts";
import type { Task } from "../kernel/task.ts";
import { CAP_IPC_LOCK, isCapable } from "../vfs/credentials.ts";
import { addr, int, size } from "./args.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import { IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, ipcCreation, ipcStat } from "./ipc.ts";

const PAGE = 4096;
const SHM_RDONLY = 0o10000;
const SHM_RND = 0o20000;
const SHM_REMAP = 0o40000;
const SHM_EXEC = 0o100000;
const SHM_LOCK = 11;
const SHM_UNLOCK = 12;
const SHM_STAT = 13;
const SHM_INFO = 14;
const SHM_STAT_ANY = 15;
/** In the mode of a segment: its pages are locked. */
const SHM_LOCKED = 0o2000;
const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_SHARED = 0x01;
const MAP_FIXED = 0x10;
const MAP_FIXED_NOREPLACE = 0x100000;
/** The device number of the kernel's own tmpfs. */
const SEGMENT_DEV = makeDev(0, 1);
/** SHMMAX and SHMALL: ULONG_MAX - 2^24. */
const SHM_MAX = 2 ** 64 - 2 ** 24;

function mapsAnything(task: Task, start: number, length: number): boolean {
  const mappings = task.kernel.memoryMap?.mappings(task.process) ?? [];
  return mappings.some((mapping) => mapping.start < start + length && mapping.end > start);
}

/** SHM_REMAP takes the place of what is mapped: segments that lie in it are detached. */
function detachWithin(task: Task, start: number, end: number): void {
  for (const row of task.kernel.memoryMap?.mappings(task.process) ?? []) {
    if (row.start < start || row.end > end) continue;
    const segment = segmentOf(task, row);
    if (segment !== undefined) task.process.ipc.detach(segment);
  }
}

function shmat(task: Task, id: number, wanted: number, flags: number): Result {
  if (id < 0) return EINVAL;
  const replaces = (flags & SHM_REMAP) !== 0;
  if (wanted % PAGE !== 0 && (flags & SHM_RND) === 0) return EINVAL;
  const start = wanted - (wanted % PAGE);
  if (start === 0 && replaces) return EINVAL;
  const segment = task.kernel.ipc.segments.find(id);
  if (segment instanceof Errno) return segment;
  const readOnly = (flags & SHM_RDONLY) !== 0;
  const executes = (flags & SHM_EXEC) !== 0;
  const needed = IPC_READ | (readOnly ? 0 : IPC_WRITE) | (executes ? 0o111 : 0);
  if (!segment.allows(task.credentials, needed)) return EACCES;
  if (start !== 0 && !replaces && mapsAnything(task, start, segment.mapped)) return EINVAL;
  if (task.thread === undefined) throw new Error("A task that never ran called shmat");
  const fd = readOnly ? reopen(segment.fd, O_RDONLY) : segment.fd;
  if (fd instanceof Errno) return fd;
  const prot = PROT_READ | (readOnly ? 0 : PROT_WRITE) | (executes ? PROT_EXEC : 0);
  const placed = replaces ? MAP_FIXED : MAP_FIXED_NOREPLACE;
  const map = MAP_SHARED | (start === 0 ? 0 : placed);
  const shown = { name: segment.name, dev: SEGMENT_DEV, ino: segment.id, offset: 0 };
  task.process.ipc.attach(segment);
  if (replaces) detachWithin(task, start, start + segment.mapped);
  return task.thread.mapFile(fd, readOnly, prot, map, 0, shown, segment.mapped);
}

/** The segment that is attached there. */
function segmentOf(task: Task, { dev, name, ino }: MappingInfo): SharedSegment | undefined {
  if (dev !== SEGMENT_DEV || !name.startsWith("/SYSV")) return undefined;
  for (const segment of task.process.ipc.attached()) if (segment.id === ino) return segment;
  return undefined;
}

/** The attached segment whose mapping begins at `start`. */
function segmentAt(task: Task, start: number): SharedSegment | undefined {
  const mappings = task.kernel.memoryMap?.mappings(task.process) ?? [];
  const mapping = mappings.find((row) => row.start === start);
  return mapping === undefined ? undefined : segmentOf(task, mapping);
}

function statSegment(task: Task, segment: SharedSegment, at: number): Errno | undefined {
  const { size: segsz, atime, dtime, ctime, cpid, lpid, attachments } = segment;
  const bytes = ShmidDs.bytes({
    perm: ipcPerm(segment),
    segsz,
    atime,
    dtime,
    ctime,
    cpid,
    lpid,
    nattch: attachments,
    unused4: 0,
    unused5: 0,
  });
  return task.memory.copyOut(at, bytes);
}

function limits(task: Task, at: number): number | Errno {
  const unused = { unused1: 0, unused2: 0, unused3: 0, unused4: 0 };
  const most = { shmmax: SHM_MAX, shmall: SHM_MAX };
  const bytes = Shminfo.bytes({ ...most, shmmin: 1, shmmni: 4096, shmseg: 4096, ...unused });
  return task.memory.copyOut(at, bytes) ?? task.kernel.ipc.segments.highest;
}

function usage(task: Task, at: number): number | Errno {
  const { segments } = task.kernel.ipc;
  const bytes = ShmInfo.bytes({
    usedIds: segments.size,
    shmTot: segments.pages,
    shmRss: 0,
    shmSwp: 0,
    swapAttempts: 0,
    swapSuccesses: 0,
  });
  return task.memory.copyOut(at, bytes) ?? segments.highest;
}

function shmctl(task: Task, id: number, command: number, at: number): Result {
  const { segments } = task.kernel.ipc;
  const { credentials } = task;
  if (id < 0) return EINVAL;
  switch (command) {
    case IPC_INFO:
      return limits(task, at);
    case SHM_INFO:
      return usage(task, at);
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
      return ipcStat(task, segments, id, command, SHM_STAT, (segment) =>
        statSegment(task, segment, at),
      );
    case IPC_SET: {
      const raw = task.memory.copyIn(at, ShmidDs.size);
      if (raw instanceof Errno) return raw;
      const segment = segments.owned(id, credentials);
      if (segment instanceof Errno) return segment;
      const { uid, gid, mode } = ShmidDs.parse(raw).perm;
      segment.setOwner(uid, gid, mode);
      return 0;
    }
    case IPC_RMID: {
      const segment = segments.owned(id, credentials);
      if (segment instanceof Errno) return segment;
      segments.doom(segment);
      return 0;
    }
    case SHM_LOCK:
    case SHM_UNLOCK: {
      const segment = segments.find(id);
      if (segment instanceof Errno) return segment;
      const { euid } = credentials;
      const owns = euid === segment.uid || euid === segment.cuid;
      if (!owns && !isCapable(credentials, CAP_IPC_LOCK)) return EPERM;
      if (command === SHM_LOCK) segment.mode |= SHM_LOCKED;
      else segment.mode &= ~SHM_LOCKED;
      return 0;
    }
    default:
      return EINVAL;
  }
}

export const SHM: readonly Syscall[] = [
  syscall("shmget", {
    support: { partial: "no huge pages (SHM_HUGETLB)" },
    args: { key: int, size, shmflg: int },
    run: (task, { key, size: length, shmflg }) =>
      task.kernel.ipc.segments.getSegment(ipcCreation(task, key), length, shmflg),
  }),
  syscall("shmat", {
    support: "full",
    args: { shmid: int, shmaddr: addr, shmflg: int },
    run: (task, { shmid, shmaddr, shmflg }) => shmat(task, shmid, shmaddr, shmflg),
  }),
  syscall("shmdt", {
    support: { partial: "what munmap(2) took of an attached segment counts as attached" },
    args: { shmaddr: addr },
    run(task, { shmaddr }) {
      const segment = shmaddr % PAGE === 0 ? segmentAt(task, shmaddr) : undefined;
      if (segment === undefined) return EINVAL;
      task.process.ipc.detach(segment);
      // The executor unmaps so many bytes, and tells the guest 0.
      return segment.mapped;
    },
  }),
  syscall("shmctl", {
    support: {
      partial: "locked segments are marked, but not locked; resident pages are not counted",
    },
    args: { shmid: int, cmd: int, buf: addr },
    run: (task, { shmid, cmd, buf }) => shmctl(task, shmid, cmd, buf),
  }),
];
