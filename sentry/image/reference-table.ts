import { readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type Digest, isDigest } from "./digest.ts";
import { storeError } from "./errors.ts";
import { JsonReader } from "./json.ts";
import { FileLock } from "./lock.ts";
import { isCode, type StoreFiles, syncDirectory, writeDurably } from "./store-files.ts";

const json = new JsonReader("STORE_IO");

/** Which image each canonical name means. */
export type References = ReadonlyMap<string, Digest>;

/** The names of the store, in one file that is replaced as a whole. */
export class ReferenceTable {
  readonly #files: StoreFiles;

  constructor(files: StoreFiles) {
    this.#files = files;
  }

  async read(): Promise<References> {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(this.#files.references);
    } catch (error) {
      if (isCode(error, "ENOENT")) return new Map();
      throw storeError(error);
    }
    const names = json.object(json.parse(bytes)["references"], "references");
    const table = new Map<string, Digest>();
    for (const [name, id] of Object.entries(names)) if (isDigest(id)) table.set(name, id);
    return table;
  }

  /** Changes the table; others see it before or after, never in between. */
  async update<T>(change: (table: Map<string, Digest>) => T | Promise<T>): Promise<T> {
    const lock = await FileLock.acquire(this.#files.referencesLockPath(), "exclusive");
    try {
      const table = new Map(await this.read());
      const result = await change(table);
      await this.#replace(table);
      return result;
    } catch (error) {
      throw storeError(error);
    } finally {
      await lock.release();
    }
  }

  async #replace(table: References): Promise<void> {
    const references = Object.fromEntries([...table].sort(([a], [b]) => (a < b ? -1 : 1)));
    const staged = `${this.#files.references}.new`;
    await rm(staged, { force: true });
    await writeDurably(staged, Buffer.from(`${JSON.stringify({ references }, undefined, 1)}\n`));
    await rename(staged, this.#files.references);
    await syncDirectory(dirname(staged));
  }
}
