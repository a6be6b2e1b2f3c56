import type { ByteString } from "../../../sentry/abi/bytes.ts";
import { EACCES, ENOENT, type Errno } from "../../../sentry/abi/errno.ts";
import { S_IFREG } from "../../../sentry/abi/file.ts";
import type { Executable } from "../../../sentry/kernel/load-program.ts";
import type { Inode, Stat } from "../../../sentry/vfs/inode.ts";
import type { IoBuffer, Transfer } from "../../../sentry/vfs/io-buffer.ts";
import type { Path } from "../../../sentry/vfs/mount.ts";
import { type HostBacking, OpenFile } from "../../../sentry/vfs/open-file.ts";

/** A file that is bytes in memory, as a program of some owner with some mode. */
export class MemoryFile extends OpenFile {
  readonly name = "memory";
  readonly #bytes: Uint8Array;
  readonly #mappable: boolean;
  closed = false;

  constructor(bytes: Uint8Array, mappable: boolean) {
    super(0);
    this.#bytes = bytes;
    this.#mappable = mappable;
  }

  stat(): Stat {
    const zero = { dev: 1, ino: 1, nlink: 1, uid: 0, gid: 0, rdev: 0, blksize: 4096, blocks: 0 };
    const times = { atimeNs: 0n, mtimeNs: 0n, ctimeNs: 0n, btimeNs: 0n };
    return { ...zero, ...times, mode: S_IFREG | 0o755, size: this.#bytes.length };
  }

  override pread(buffer: IoBuffer, offset: number): Transfer {
    const bytes = this.#bytes.subarray(offset, offset + buffer.length);
    buffer.put(bytes);
    return bytes.length;
  }

  override backing(): HostBacking | Errno {
    return this.#mappable ? { fd: 1000, offset: 0x10000, direct: false } : EACCES;
  }

  protected release(): void {
    this.closed = true;
  }
}

/** How a {@link programs} file looks from outside. */
export interface ProgramFile {
  readonly bytes: Uint8Array;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Whether it can be mapped; default true. */
  readonly mappable?: boolean;
  readonly noSuid?: boolean;
}

/** An opener over some files by name; it keeps what it opened. */
export function programs(files: Readonly<Record<string, ProgramFile>>) {
  const opened: MemoryFile[] = [];
  const open = (name: ByteString): Executable | Errno => {
    const found = files[name];
    if (found === undefined) return ENOENT;
    const file = new MemoryFile(found.bytes, found.mappable ?? true);
    opened.push(file);
    const { mode = S_IFREG | 0o755, uid = 0, gid = 0 } = found;
    return {
      file,
      inode: { mode, uid, gid } as Inode,
      path: { mount: { noSuid: found.noSuid ?? false } } as Path,
    };
  };
  return { open, opened };
}
