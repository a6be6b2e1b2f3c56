import { closeSync, fdatasync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

/** The page size of every host we run on divides this (Apple silicon has pages of 16 KiB). */
export const ALIGNMENT = 16 * 1024;
/** A file of at least this size gets pages of its own, so that it can be mapped. */
export const MAPPABLE_MIN = 4096;
/** Smaller files share regions of this size. */
const SLAB_BYTES = 64 * 1024;

/** The packs of a layer: content that everybody in the container may read, and the rest. */
export const PACK_NAMES = { shared: "shared.pack", private: "private.pack" } as const;

const sync = promisify(fdatasync);

interface Slab {
  readonly bytes: Buffer;
  readonly offset: number;
  used: number;
}

/**
 * One pack: the contents of many files in one host file that is only ever appended to. The gaps
 * between them are holes, which cost no disk space and read as zeros.
 */
class Pack {
  readonly #fd: number;
  #end = 0;
  #slab: Slab | undefined;
  /** Where the current file begins, and what it is in: the slab or undefined for the pack itself. */
  #start = 0;
  #target: Slab | undefined;

  constructor(path: string) {
    this.#fd = openSync(path, "wx", 0o600);
  }

  /** Reserves `size` bytes, at least one, for {@link write}; returns their offset. */
  begin(size: number): number {
    this.#target = undefined;
    if (size < MAPPABLE_MIN) {
      this.#target = this.#slab;
      if (this.#target === undefined || this.#target.used + size > SLAB_BYTES) {
        this.#flushSlab();
        const offset = this.#reserve(SLAB_BYTES);
        this.#target = { bytes: Buffer.alloc(SLAB_BYTES), offset, used: 0 };
        this.#slab = this.#target;
      }
      this.#start = this.#target.offset + this.#target.used;
      this.#target.used += size;
    } else {
      this.#start = this.#reserve(size);
    }
    return this.#start;
  }

  write(bytes: Uint8Array, offset: number): void {
    const slab = this.#target;
    const position = this.#start + offset;
    if (slab !== undefined) slab.bytes.set(bytes, position - slab.offset);
    else writeAll(this.#fd, bytes, position);
  }

  /** Makes everything durable. */
  async finish(): Promise<void> {
    this.#flushSlab();
    ftruncateSync(this.#fd, this.#end); // a file may end in a hole
    await sync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #reserve(size: number): number {
    const offset = Math.ceil(this.#end / ALIGNMENT) * ALIGNMENT;
    this.#end = offset + size;
    return offset;
  }

  #flushSlab(): void {
    const slab = this.#slab;
    this.#slab = undefined;
    if (slab !== undefined) writeAll(this.#fd, slab.bytes.subarray(0, slab.used), slab.offset);
  }
}

/** Writes the contents of one layer, file by file, to the packs in `directory`. */
export class PackWriter {
  readonly #shared: Pack;
  readonly #private: Pack;
  #current: Pack;
  #contentBytes = 0;

  constructor(directory: string) {
    this.#shared = new Pack(join(directory, PACK_NAMES.shared));
    this.#private = new Pack(join(directory, PACK_NAMES.private));
    this.#current = this.#shared;
  }

  get contentBytes(): number {
    return this.#contentBytes;
  }

  /** Starts a file of `size` bytes, at least one; returns its offset in its pack. */
  begin(size: number, shared: boolean): number {
    this.#current = shared ? this.#shared : this.#private;
    this.#contentBytes += size;
    return this.#current.begin(size);
  }

  /** Some bytes of the file that was started last, from `offset` in it; what is never written is zeros. */
  write(bytes: Uint8Array, offset: number): void {
    this.#current.write(bytes, offset);
  }

  /** Makes the packs durable. */
  async finish(): Promise<void> {
    await Promise.all([this.#shared.finish(), this.#private.finish()]);
  }

  close(): void {
    this.#shared.close();
    this.#private.close();
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}
