/** Shared memory segments of System V: files in memory of the host. See shmop(2). */
import { EINVAL, ENOMEM, ENOSPC, Errno } from "../abi/errno.ts";
import { closeFd, ftruncate } from "../host/fs.ts";
import { memfd } from "../host/memfd.ts";
import { type IpcCreation, IpcObject, IpcTable, ipcNow } from "./object.ts";

/** SHMMNI: Linux's default. */
const SEGMENTS = 4096;
const PAGE = 4096;
const SHM_HUGETLB = 0o4000;
/** In the mode of a segment that goes with its last attachment. */
const SHM_DEST = 0o1000;

export class SharedSegment extends IpcObject {
  readonly size: number;
  readonly fd: number;
  readonly cpid: number;
  lpid = 0;
  atime = 0;
  dtime = 0;
  attachments = 0;

  constructor(creation: IpcCreation, size: number, fd: number) {
    super(creation);
    this.size = size;
    this.fd = fd;
    this.cpid = creation.pid;
  }

  /** The bytes of a mapping of it. */
  get mapped(): number {
    return Math.ceil(this.size / PAGE) * PAGE;
  }

  /** What /proc/PID/maps calls it. */
  get name(): string {
    return `/SYSV${(this.key >>> 0).toString(16).padStart(8, "0")} (deleted)`;
  }

  get isDoomed(): boolean {
    return (this.mode & SHM_DEST) !== 0;
  }

  doom(): void {
    this.mode |= SHM_DEST;
  }
}

export class SegmentTable extends IpcTable<SharedSegment> {
  constructor() {
    super(SEGMENTS);
  }

  /** The pages of all segments. */
  get pages(): number {
    return this.all().reduce((sum, { mapped }) => sum + mapped / PAGE, 0);
  }

  /** See shmget(2). Huge pages are refused with `ENOMEM`, as where none are reserved. */
  getSegment(
    creation: Omit<IpcCreation, "id" | "mode">,
    size: number,
    flags: number,
  ): number | Errno {
    return this.get(
      creation,
      flags,
      (segment) => (size > segment.size ? EINVAL : undefined),
      (parts) => {
        if (size < 1) return EINVAL;
        if ((flags & SHM_HUGETLB) !== 0) return ENOMEM;
        return makeSegment(parts, size);
      },
    );
  }

  attach(segment: SharedSegment, pid: number): void {
    segment.attachments++;
    segment.atime = ipcNow();
    segment.lpid = pid;
  }

  detach(segment: SharedSegment, pid: number): void {
    segment.attachments--;
    segment.dtime = ipcNow();
    segment.lpid = pid;
    this.#releaseUnused(segment);
  }

  /** IPC_RMID: the key goes at once, the segment with its last attachment. */
  doom(segment: SharedSegment): void {
    segment.doom();
    this.forgetKey(segment);
    this.#releaseUnused(segment);
  }

  #releaseUnused(segment: SharedSegment): void {
    if (!segment.isDoomed || segment.attachments > 0 || segment.removed) return;
    this.remove(segment);
    closeFd(segment.fd);
  }
}

function makeSegment(creation: IpcCreation, size: number): SharedSegment | Errno {
  const fd = memfd("SYSV", false);
  if (fd instanceof Errno) return ENOSPC;
  const failed = size > Number.MAX_SAFE_INTEGER ? EINVAL : ftruncate(fd, size);
  if (failed === undefined) return new SharedSegment(creation, size, fd);
  closeFd(fd);
  return ENOMEM;
}
