import { EBADF, EMFILE, type Errno } from "../abi/errno.ts";
import type { OpenFile } from "../vfs/open-file.ts";

/** The highest number of descriptors whatever RLIMIT_NOFILE says: `fs.nr_open`'s default. */
export const NR_OPEN = 1 << 20;

interface Entry {
  readonly file: OpenFile;
  readonly cloexec: boolean;
}

/** The descriptors of one process, or of several with CLONE_FILES: numbers, and what they refer to. */
export class FdTable {
  readonly #entries: (Entry | undefined)[] = [];
  /** No number below is free. */
  #firstFree = 0;
  #sharers = 1;

  /** @returns the description behind `fd`, which the table keeps, or `EBADF`. */
  get(fd: number): OpenFile | Errno {
    return this.#entries[fd]?.file ?? EBADF;
  }

  /**
   * Gives `file` the lowest free number. The table takes over the caller's reference.
   * @param options `min`: no number below it; `limit`: RLIMIT_NOFILE.
   * @returns the number, or `EMFILE` (then the reference is still the caller's).
   */
  install(
    file: OpenFile,
    options: { readonly cloexec: boolean; readonly min?: number; readonly limit: number },
  ): number | Errno {
    const fd = this.#nextFree(options.min ?? 0);
    if (fd >= Math.min(options.limit, NR_OPEN)) return EMFILE;
    this.#put(fd, { file, cloexec: options.cloexec });
    return fd;
  }

  /**
   * Makes `fd` refer to `file`, closing what it referred to. The table takes over the caller's reference.
   * @returns `fd`, or `EBADF` for a number beyond the limit. See dup2(2).
   */
  set(fd: number, file: OpenFile, cloexec: boolean, limit: number): number | Errno {
    if (fd < 0 || fd >= Math.min(limit, NR_OPEN)) return EBADF;
    const previous = this.#entries[fd];
    this.#put(fd, { file, cloexec });
    previous?.file.closedIn(this);
    previous?.file.close();
    return fd;
  }

  /** See close(2). @returns `EBADF` for a number that is not in use. */
  close(fd: number): Errno | undefined {
    const entry = this.#entries[fd];
    if (entry === undefined) return EBADF;
    this.#entries[fd] = undefined;
    if (fd < this.#firstFree) this.#firstFree = fd;
    entry.file.closedIn(this);
    entry.file.close();
    return undefined;
  }

  /** Whether `fd` is closed by execve(2), or `EBADF`. */
  cloexec(fd: number): boolean | Errno {
    return this.#entries[fd]?.cloexec ?? EBADF;
  }

  /** Says whether execve(2) closes `fd`. @returns `EBADF` for a number that is not in use. */
  setCloexec(fd: number, cloexec: boolean): Errno | undefined {
    const entry = this.#entries[fd];
    if (entry === undefined) return EBADF;
    this.#entries[fd] = { file: entry.file, cloexec };
    return undefined;
  }

  /** All descriptors in use, in order. */
  *entries(): Generator<{
    readonly fd: number;
    readonly file: OpenFile;
    readonly cloexec: boolean;
  }> {
    for (let fd = 0; fd < this.#entries.length; fd++) {
      const entry = this.#entries[fd];
      if (entry !== undefined) yield { fd, file: entry.file, cloexec: entry.cloexec };
    }
  }

  /** A table of its own with the same descriptions: fork(2), unshare(CLONE_FILES). */
  copy(): FdTable {
    const copy = new FdTable();
    for (const { fd, file, cloexec } of this.entries()) {
      copy.#put(fd, { file: file.retain(), cloexec });
    }
    return copy;
  }

  /** Whether several tasks use this very table. */
  get shared(): boolean {
    return this.#sharers > 1;
  }

  /** One more task uses this very table. */
  share(): this {
    this.#sharers++;
    return this;
  }

  /** One task fewer; the last one closes everything. */
  leave(): void {
    if (--this.#sharers > 0) return;
    for (const { fd } of [...this.entries()]) this.close(fd);
  }

  /** Closes what is marked close-on-exec. */
  closeOnExec(): void {
    for (const { fd, cloexec } of [...this.entries()]) if (cloexec) this.close(fd);
  }

  #put(fd: number, entry: Entry): void {
    // Keep the array dense: holes far away would turn it into a dictionary.
    while (this.#entries.length < fd) this.#entries.push(undefined);
    this.#entries[fd] = entry;
    if (fd === this.#firstFree) this.#firstFree = fd + 1;
  }

  #nextFree(min: number): number {
    let fd = Math.max(min, this.#firstFree);
    while (this.#entries[fd] !== undefined) fd++;
    if (min <= this.#firstFree) this.#firstFree = fd;
    return fd;
  }
}
