import { Errno } from "../abi/errno.ts";
import { closeFd, duplicate } from "../host/fs.ts";
import type { HostBacking } from "../vfs/open-file.ts";
import { type Making, startMaking } from "./make.ts";
import { Refused, type Source, Store, type StoreFile } from "./store-file.ts";

/** Files that one container's guests may have made for. */
const SOURCES_MAX = 256;
/** Places in one file: what a container waits for at its end, and what the next one reads at its start. */
const PCS_MAX = 1 << 15;
/** Fewer new places than this, or than this part of what there is, are not worth a process. */
const WORTH_LEAST = 32;
const WORTH_PART = 1 / 16;
/** Processes at a time. */
const MAKERS_MAX = 2;
const SOURCE_BYTES_MAX = 2 ** 31;

/** A file that guests run code of. */
interface Known {
  readonly source: Source;
  /** Undefined: there is none, or none that can be trusted. */
  readonly stored: StoreFile | undefined;
  readonly fresh: Set<number>;
}

/** What is to be made. The source's descriptor is its own. */
interface Wanted {
  readonly source: Source;
  readonly pcs: readonly number[];
}

/** See README.md. */
export class Translations {
  readonly #store: Store;
  readonly #program: string;
  /** What the launcher that runs says it is. Until it has said so nothing is lent. */
  build: Uint8Array | undefined;
  readonly #log: (line: string) => void;
  readonly #known = new Map<string, Known>();

  /**
   * @param directory where store files are
   * @param program the launcher of the guest's instruction set
   */
  constructor(directory: string, program: string, log: (line: string) => void) {
    this.#store = new Store(directory);
    this.#program = program;
    this.#log = log;
  }

  /** A read-only descriptor of what `backing` has been translated to, for executors; it stays ours. */
  lend(backing: HostBacking): number | undefined {
    const source = sourceOf(backing);
    return source === undefined ? undefined : this.#of(source)?.stored?.fd;
  }

  /** Guests have run code at these places of a file, which had to be translated: what executors say. */
  hint(backing: HostBacking, pcs: Iterable<number>): void {
    const source = sourceOf(backing);
    const known = source === undefined ? undefined : this.#of(source);
    if (known === undefined) return;
    for (const pc of pcs) {
      if (known.fresh.size >= PCS_MAX) return;
      if (pc >= 0 && pc < known.source.size && pc % 4 === 0) known.fresh.add(pc);
    }
  }

  /**
   * The container has ended; its files are about to be closed.
   * @returns has what is missing made, and keeps it; undefined: nothing is missing.
   */
  close(): (() => void) | undefined {
    const wanted = [...this.#known.values()].flatMap((known): readonly Wanted[] => {
      const { stored, fresh, source } = known;
      const old = stored?.pcs ?? [];
      for (const pc of old) fresh.delete(pc);
      if (fresh.size < Math.max(WORTH_LEAST, old.length * WORTH_PART)) return [];
      const fd = duplicate(source.fd);
      if (fd instanceof Errno) return [];
      return [{ source: { ...source, fd }, pcs: [...old, ...fresh].slice(0, PCS_MAX) }];
    });
    for (const { stored } of this.#known.values()) if (stored !== undefined) closeFd(stored.fd);
    this.#known.clear();
    return wanted.length === 0 ? undefined : () => this.#make(wanted);
  }

  #make(wanted: readonly Wanted[]): void {
    const running: { readonly source: Source; readonly making: Making }[] = [];
    const keepOne = () => {
      const first = running.shift();
      if (first !== undefined) this.#keep(first.source, first.making.wait());
    };
    for (const { source, pcs } of wanted) {
      if (running.length >= MAKERS_MAX) keepOne();
      const making = startMaking(this.#program, source, pcs);
      if (making !== undefined) running.push({ source, making });
    }
    while (running.length > 0) keepOne();
    for (const { source } of wanted) closeFd(source.fd);
  }

  #of(source: Source): Known | undefined {
    const found = this.#known.get(source.identity);
    if (found !== undefined || this.#known.size >= SOURCES_MAX) return found;
    const known = { source, stored: this.#open(source), fresh: new Set<number>() };
    this.#known.set(source.identity, known);
    return known;
  }

  #open(source: Source): StoreFile | undefined {
    if (this.build === undefined) return undefined;
    try {
      return this.#store.open(source, this.build);
    } catch (error) {
      this.#say(source, error);
      return undefined;
    }
  }

  #keep(source: Source, body: Uint8Array | undefined): void {
    if (body === undefined || this.build === undefined) {
      this.#log(`Translations of ${source.identity} could not be made`);
      return;
    }
    try {
      this.#store.write(source, this.build, body);
    } catch (error) {
      this.#say(source, error);
    }
  }

  #say({ identity }: Source, error: unknown): void {
    const what = error instanceof Refused ? "refused, to be made anew" : "not kept";
    const why = error instanceof Error ? error.message : String(error);
    this.#log(`Translations of ${identity} ${what}: ${why}`);
  }
}

function sourceOf({ identity, fd, offset, length }: HostBacking): Source | undefined {
  if (identity === undefined || length === undefined || length === 0) return undefined;
  return length > SOURCE_BYTES_MAX ? undefined : { identity, fd, offset, size: length };
}
