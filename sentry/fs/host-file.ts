import type { Errno } from "../abi/errno.ts";
import { O_APPEND } from "../abi/file.ts";
import {
  closeFd,
  fallocate,
  fsync,
  ftruncate,
  lseek,
  pread,
  pwrite,
  read,
  setStatusFlags,
  write,
} from "../host/fs.ts";
import { VfsFile } from "../vfs/file.ts";
import type { IoBuffer, Transfer } from "../vfs/io-buffer.ts";
import type { Path } from "../vfs/mount.ts";
import { IN_ACCESS, IN_MODIFY, notifyPath } from "../vfs/notify.ts";
import type { HostBacking } from "../vfs/open-file.ts";

/** An open regular file that is a host file: the guest's offset and flags are the host's. */
export class HostFile extends VfsFile {
  protected readonly fd: number;

  /** @param fd an open file description of this file's own, with the same access; owned from now on. */
  constructor(flags: number, path: Path, fd: number) {
    super(flags, path);
    this.fd = fd;
  }

  override read(buffer: IoBuffer): Transfer {
    const count = read(this.fd, buffer.address, buffer.length);
    if (this.inode.watchers !== undefined) notifyPath(this.path, IN_ACCESS);
    return count;
  }

  override write(buffer: IoBuffer): Transfer {
    return this.writeSome(buffer, buffer.length);
  }

  /** Writes the first `length` bytes. */
  protected writeSome(buffer: IoBuffer, length: number): Transfer {
    return this.#modified(write(this.fd, buffer.address, length));
  }

  override pread(buffer: IoBuffer, offset: number): Transfer {
    return pread(this.fd, buffer.address, buffer.length, offset);
  }

  override pwrite(buffer: IoBuffer, offset: number): Transfer {
    return this.pwriteSome(buffer, buffer.length, offset);
  }

  /** Writes the first `length` bytes at `offset`. */
  protected pwriteSome(buffer: IoBuffer, length: number, offset: number): Transfer {
    return this.#modified(pwrite(this.fd, buffer.address, length, offset));
  }

  override seek(offset: number, whence: number): number | Errno {
    return lseek(this.fd, offset, whence);
  }

  override truncate(length: number): Errno | undefined {
    const failed = ftruncate(this.fd, length);
    if (failed === undefined) this.#modified(0);
    return failed;
  }

  override allocate(mode: number, offset: number, length: number): Errno | undefined {
    const failed = fallocate(this.fd, mode, offset, length);
    if (failed === undefined) this.#modified(0);
    return failed;
  }

  override sync(dataOnly: boolean): Errno | undefined {
    return fsync(this.fd, dataOnly);
  }

  override backing(): HostBacking | Errno {
    return { fd: this.fd, offset: 0, direct: true };
  }

  override flagsChanged(): void {
    // Of the flags that can change, only this one means something for a regular file.
    setStatusFlags(this.fd, this.flags & O_APPEND);
  }

  protected override release(): void {
    super.release();
    this.closeHost();
  }

  /** Gives the descriptor back. */
  protected closeHost(): void {
    closeFd(this.fd);
  }

  #modified(result: Transfer): Transfer {
    if (typeof result === "number") notifyPath(this.path, IN_MODIFY);
    return result;
  }
}
