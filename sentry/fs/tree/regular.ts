/** The bytes of a tree's regular files: in the lower tree until they change, then in a blob. */
import { EACCES, EBADF, EFBIG, EINVAL, ENOSPC, ENXIO, Errno } from "../../abi/errno.ts";
import {
  FALLOC_FL_KEEP_SIZE,
  O_ACCMODE,
  O_APPEND,
  O_RDONLY,
  O_RDWR,
  S_ISGID,
  S_ISUID,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
  SEEK_SET,
} from "../../abi/file.ts";
import { closeFd, copyRange, ftruncate, HOST_O, pread } from "../../host/fs.ts";
import { memfd, seal } from "../../host/memfd.ts";
import { withoutPrivileges } from "../../vfs/attributes.ts";
import { CAP_FSETID, isCapable } from "../../vfs/credentials.ts";
import { VfsFile } from "../../vfs/file.ts";
import type { Actor } from "../../vfs/fs-context.ts";
import type { IoBuffer, Transfer } from "../../vfs/io-buffer.ts";
import type { Path } from "../../vfs/mount.ts";
import type { HostBacking, OpenFile } from "../../vfs/open-file.ts";
import { HostFile } from "../host-file.ts";
import type { LowerContent } from "./lower.ts";
import type { TreeInode } from "./tree-inode.ts";

/** Gives the inode a blob with the first `length` of its bytes. @returns `ENOSPC`. */
export function ensureBlob(inode: TreeInode, length: number): Errno | undefined {
  if (inode.blob) return undefined;
  const { fs } = inode;
  const count = Math.min(length, inode.size);
  if (!fs.hasRoom(inode, count)) return ENOSPC;
  const fd = fs.blobs.create(inode.ino);
  if (fd instanceof Errno) return fd;
  const failed = copyUp(inode, fd, count) ?? recordBlob(inode);
  closeFd(fd);
  if (failed !== undefined) {
    fs.blobs.remove(inode.ino);
    return failed;
  }
  inode.size = 0;
  inode.blob = true;
  inode.fresh = false;
  if (inode.nlink > 0) inode.markSaved();
  inode.refresh();
  return undefined;
}

/** Gives an inode that nobody knows yet an empty blob, open with the guest's `flags` for its first user. */
export function createBlob(inode: TreeInode, flags: number): Errno | undefined {
  const fd = inode.fs.blobs.create(inode.ino, hostFlags(flags));
  if (fd instanceof Errno) return fd;
  inode.made = fd;
  inode.blob = true;
  inode.fresh = false;
  return undefined;
}

/** The host's flags for a descriptor that is used as the guest uses its own. */
function hostFlags(flags: number): number {
  return Math.min(flags & O_ACCMODE, O_RDWR) | (flags & O_APPEND);
}

function copyUp(inode: TreeInode, fd: number, count: number): Errno | undefined {
  const { fs, lower } = inode;
  if (lower !== undefined && count > 0) {
    const content = fs.lower?.open(lower);
    if (content === undefined) return undefined;
    if (content instanceof Errno) return content;
    const failed = copyRange(content.fd, content.offset, fd, 0, count);
    content.close();
    if (failed !== undefined) return failed;
  }
  return fs.blobs.setTimes(inode.ino, undefined, inode.mtimeNs);
}

function recordBlob(inode: TreeInode): Errno | undefined {
  // An inode without a name (O_TMPFILE) is recorded when it gets one.
  if (inode.nlink === 0) return undefined;
  return inode.fs.record(() => [inode.record({ blob: true })]);
}

/** Sets the length. See truncate(2). */
export function resize(inode: TreeInode, size: number): Errno | undefined {
  const { fs } = inode;
  const failed = ensureBlob(inode, size);
  if (failed !== undefined) return failed;
  inode.refresh();
  if (size > inode.size && !fs.hasRoom(inode, size)) return ENOSPC;
  const fd = fs.blobs.open(inode.ino, HOST_O.WRONLY);
  if (fd instanceof Errno) return fd;
  const refused = ftruncate(fd, size);
  closeFd(fd);
  inode.fresh = false;
  return refused;
}

/** Opens a regular file. */
export function openRegular(
  inode: TreeInode,
  flags: number,
  path: Path,
  actor: Actor,
): OpenFile | Errno {
  const writing = (flags & O_ACCMODE) !== O_RDONLY;
  if (!writing && !inode.blob && inode.lower !== undefined) {
    const content = inode.fs.lower?.open(inode.lower);
    if (content === undefined) return EACCES;
    if (content instanceof Errno) return content;
    return content.direct
      ? new DirectLowerFile(flags, path, inode, content)
      : new LowerFile(flags, path, inode, content);
  }
  const failed = ensureBlob(inode, inode.size);
  if (failed !== undefined) return failed;
  const fd = inode.made ?? inode.fs.blobs.open(inode.ino, hostFlags(flags));
  inode.made = undefined;
  if (fd instanceof Errno) return fd;
  // Whoever opens it is taken for whoever writes.
  const privileged = isCapable(actor.credentials, CAP_FSETID);
  return new BlobFile(flags, path, inode, fd, privileged);
}

/** An open file whose bytes are in a blob. */
class BlobFile extends HostFile {
  readonly #inode: TreeInode;
  readonly #keepsPrivileges: boolean;

  constructor(flags: number, path: Path, inode: TreeInode, fd: number, keepsPrivileges: boolean) {
    super(flags, path, fd);
    this.#inode = inode;
    this.#keepsPrivileges = keepsPrivileges;
    inode.opens++;
    if (this.writable) inode.writers++;
  }

  override write(buffer: IoBuffer): Transfer {
    this.#dropPrivileges();
    if (!this.#limited) return super.write(buffer);
    const append = (this.flags & O_APPEND) !== 0;
    const at = this.seek(0, append ? SEEK_END : SEEK_CUR);
    if (at instanceof Errno) return at;
    // SEEK_END has moved the offset, which an appending write would have done as well.
    const length = this.#room(at, buffer.length);
    return length instanceof Errno ? length : this.#counted(this.writeSome(buffer, length));
  }

  override pwrite(buffer: IoBuffer, offset: number): Transfer {
    this.#dropPrivileges();
    if (!this.#limited) return super.pwrite(buffer, offset);
    const length = this.#room(offset, buffer.length);
    return length instanceof Errno
      ? length
      : this.#counted(this.pwriteSome(buffer, length, offset));
  }

  /** How many of `length` bytes at `offset` the file system still has room for. @returns `ENOSPC` for none. */
  #room(offset: number, length: number): number | Errno {
    const inode = this.#inode;
    inode.refresh();
    if (inode.fs.hasRoom(inode, Math.max(inode.size, offset + length))) return length;
    const room = inode.fs.roomFor(inode) - offset;
    return room > 0 ? room : ENOSPC;
  }

  override truncate(length: number): Errno | undefined {
    if (!this.writable) return EINVAL;
    return this.#refuse(length) ?? this.#counted(super.truncate(length));
  }

  override allocate(mode: number, offset: number, length: number): Errno | undefined {
    if (!this.writable) return EBADF;
    const grows = (mode & FALLOC_FL_KEEP_SIZE) === 0;
    const refused = grows ? this.#refuse(offset + length) : undefined;
    return refused ?? this.#counted(super.allocate(mode, offset, length));
  }

  override sync(dataOnly: boolean): Errno | undefined {
    return super.sync(dataOnly) ?? this.#inode.fs.syncLog();
  }

  override backing(): HostBacking | Errno {
    const inode = this.#inode;
    if (this.writable) inode.shared = true;
    const watched = this.writable && this.#losesPrivileges();
    return { fd: this.fd, offset: 0, direct: !this.#limited && !watched };
  }

  protected override closeHost(): void {
    super.closeHost();
    const inode = this.#inode;
    inode.opens--;
    if (this.writable) {
      inode.writers--;
      inode.fresh = false;
    }
    inode.fs.dropIfUnused(inode);
  }

  get #limited(): boolean {
    return this.#inode.fs.sizeLimit !== Number.POSITIVE_INFINITY;
  }

  #refuse(end: number): Errno | undefined {
    if (!this.#limited) return undefined;
    const inode = this.#inode;
    inode.refresh();
    return end > inode.size && !inode.fs.hasRoom(inode, end) ? ENOSPC : undefined;
  }

  /** Keeps the count of used bytes, after a change of the bytes. */
  #counted<T>(result: T): T {
    if (this.#limited) this.#inode.refresh();
    return result;
  }

  #losesPrivileges(): boolean {
    return !this.#keepsPrivileges && (this.#inode.mode & (S_ISUID | S_ISGID)) !== 0;
  }

  /** Whoever writes without CAP_FSETID takes setuid and setgid away. */
  #dropPrivileges(): void {
    if (!this.#losesPrivileges()) return;
    const mode = withoutPrivileges(this.#inode.mode);
    if (mode !== undefined) this.#inode.setattr({ mode });
  }
}

/** A lower file that is a host file by itself, open for reading. It keeps the bytes it was opened with. */
class DirectLowerFile extends HostFile {
  readonly #inode: TreeInode;
  readonly #content: LowerContent;

  constructor(flags: number, path: Path, inode: TreeInode, content: LowerContent) {
    super(flags, path, content.fd);
    this.#inode = inode;
    this.#content = content;
    inode.opens++;
  }

  protected override closeHost(): void {
    this.#content.close();
    this.#inode.opens--;
    this.#inode.fs.dropIfUnused(this.#inode);
  }
}

/** Bytes of content that is copied for mapping at most: the limit of one private copy in memory. */
const PRIVATE_COPY_MAX = 1 << 30;

/** A file of the lower tree, open for reading. When the file is copied up, later reads see the copy. */
class LowerFile extends VfsFile {
  readonly #inode: TreeInode;
  readonly #content: LowerContent;
  #position = 0;
  /** The blob, once there is one; 0 for none. */
  #blobFd = 0;
  #copyFd = 0;

  constructor(flags: number, path: Path, inode: TreeInode, content: LowerContent) {
    super(flags, path);
    this.#inode = inode;
    this.#content = content;
    inode.opens++;
  }

  override read(buffer: IoBuffer): Transfer {
    const count = this.pread(buffer, this.#position);
    if (typeof count === "number") this.#position += count;
    return count;
  }

  override pread(buffer: IoBuffer, offset: number): Transfer {
    if (this.#inode.blob) {
      const fd = this.#openBlob();
      return fd instanceof Errno ? fd : pread(fd, buffer.address, buffer.length, offset);
    }
    const { fd, offset: base, length } = this.#content;
    const count = Math.min(buffer.length, length - offset);
    return count <= 0 ? 0 : pread(fd, buffer.address, count, base + offset);
  }

  #openBlob(): number | Errno {
    if (this.#blobFd === 0) {
      const fd = this.#inode.fs.blobs.open(this.#inode.ino, HOST_O.RDONLY);
      if (fd instanceof Errno) return fd;
      this.#blobFd = fd;
    }
    return this.#blobFd;
  }

  override write(_buffer: IoBuffer): Transfer {
    return EBADF;
  }
  override pwrite(_buffer: IoBuffer, _offset: number): Transfer {
    return EBADF;
  }
  override allocate(_mode: number, _offset: number, _length: number): Errno {
    return EBADF;
  }

  override seek(offset: number, whence: number): number | Errno {
    const { size } = this.#inode;
    let target: number;
    switch (whence) {
      case SEEK_SET:
        target = offset;
        break;
      case SEEK_CUR:
        target = this.#position + offset;
        break;
      case SEEK_END:
        target = size + offset;
        break;
      case SEEK_DATA:
      case SEEK_HOLE:
        if (offset < 0 || offset >= size) return ENXIO;
        target = whence === SEEK_DATA ? offset : size;
        break;
      default:
        return EINVAL;
    }
    if (target < 0) return EINVAL;
    if (!Number.isSafeInteger(target)) return EINVAL;
    this.#position = target;
    return target;
  }

  override sync(_dataOnly: boolean): Errno | undefined {
    return undefined;
  }

  override backing(): HostBacking | Errno {
    if (this.#inode.blob) {
      const fd = this.#openBlob();
      return fd instanceof Errno ? fd : { fd, offset: 0, direct: false };
    }
    const { fd, offset, length, mappable, identity } = this.#content;
    if (mappable) return { fd, offset, length, direct: false, identity };
    return this.#privateCopy();
  }

  /** A sealed copy in memory, for what must not be mapped from where it is. */
  #privateCopy(): HostBacking | Errno {
    const { fd, offset, length } = this.#content;
    if (length > PRIVATE_COPY_MAX) return EFBIG;
    if (this.#copyFd === 0) {
      const copy = memfd("file");
      if (copy instanceof Errno) return copy;
      const failed = copyRange(fd, offset, copy, 0, length) ?? seal(copy);
      if (failed !== undefined) {
        closeFd(copy);
        return failed;
      }
      this.#copyFd = copy;
    }
    return { fd: this.#copyFd, offset: 0, length, direct: false };
  }

  protected override release(): void {
    super.release();
    this.#content.close();
    if (this.#blobFd !== 0) closeFd(this.#blobFd);
    if (this.#copyFd !== 0) closeFd(this.#copyFd);
    this.#inode.opens--;
    this.#inode.fs.dropIfUnused(this.#inode);
  }
}
