import { closeSync, createReadStream, openSync, writeSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ByteString } from "../abi/bytes.ts";
import { decompress } from "./decompress.ts";
import { ImageError, storeError } from "./errors.ts";
import { JSON_BYTES_MAX, LAYER_BYTES_MAX, SYMLINKS_MAX } from "./limits.ts";
import { readTar, type TarEntry } from "./tar-reader.ts";

interface Spooled {
  readonly path: string;
  size: number;
}

/** Large enough that reading a layer costs few steps. */
const READ_BYTES = 256 * 1024;

/**
 * The files of an archive, set aside on disk so that they can be read in any order. Their names are
 * only names here: on disk they are numbered, and links are followed in the table.
 */
export class ArchiveFiles {
  readonly #directory: string;
  readonly #files = new Map<ByteString, Spooled>();
  readonly #links = new Map<ByteString, ByteString>();
  #fd = -1;
  #current: Spooled | undefined;
  #total = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Reads all of `archive` (tar, perhaps compressed) into `directory`, which is made.
   * @throws {ImageError} LAYER_*, STORE_*; then the caller removes `directory`
   */
  static async read(
    archive: AsyncIterable<Uint8Array>,
    directory: string,
    onBytes?: (bytes: number) => void,
  ): Promise<ArchiveFiles> {
    const files = new ArchiveFiles(directory);
    try {
      await mkdir(directory, { mode: 0o700 });
      await files.#fill(archive, onBytes);
    } catch (error) {
      throw storeError(error);
    } finally {
      files.#finish();
    }
    return files;
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  size(name: string): number {
    return this.#get(name).size;
  }

  /** A small file. */
  async bytes(name: string): Promise<Uint8Array> {
    const { path, size } = this.#get(name);
    if (size > JSON_BYTES_MAX) throw new ImageError("ARCHIVE_INVALID", `${name} has ${size} bytes`);
    return readFile(path);
  }

  stream(name: string): AsyncIterable<Uint8Array> {
    return createReadStream(this.#get(name).path, { highWaterMark: READ_BYTES });
  }

  async #fill(
    archive: AsyncIterable<Uint8Array>,
    onBytes: ((bytes: number) => void) | undefined,
  ): Promise<void> {
    let taken = 0;
    async function* counted(): AsyncGenerator<Uint8Array, void, void> {
      for await (const chunk of archive) {
        taken += chunk.length;
        onBytes?.(chunk.length);
        yield chunk;
      }
    }
    const end = await readTar(
      decompress(counted(), () => taken),
      { entry: (entry) => this.#entry(entry), content: (bytes) => this.#content(bytes) },
    );
    if (!end.complete) throw new ImageError("LAYER_TRUNCATED", "the end of the archive is missing");
  }

  #entry(entry: TarEntry): void {
    this.#finish();
    const name = normalise(entry.path, "");
    if (entry.type === "symlink") this.#links.set(name, normalise(entry.link, parent(name)));
    if (entry.type === "hardlink") this.#links.set(name, normalise(entry.link, ""));
    if (entry.type !== "file") return;
    // A name that comes again replaces the file it had.
    const number = String(this.#files.size);
    const path = this.#files.get(name)?.path ?? join(this.#directory, number);
    this.#current = { path, size: 0 };
    this.#links.delete(name);
    this.#fd = openSync(this.#current.path, "w", 0o600);
    this.#files.set(name, this.#current);
  }

  #content(bytes: Uint8Array): void {
    if (this.#current === undefined) return;
    this.#total += bytes.length;
    if (this.#total > LAYER_BYTES_MAX) {
      throw new ImageError("LAYER_LIMIT", `more than ${LAYER_BYTES_MAX} bytes`);
    }
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done);
    }
    this.#current.size += bytes.length;
  }

  #finish(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#current = undefined;
  }

  #find(name: string): Spooled | undefined {
    let here = normalise(name, "");
    for (let hops = 0; hops <= SYMLINKS_MAX; hops++) {
      const next = this.#links.get(here);
      if (next === undefined) return this.#files.get(here);
      here = next;
    }
    return undefined;
  }

  #get(name: string): Spooled {
    const file = this.#find(name);
    if (file === undefined) {
      throw new ImageError("ARCHIVE_INVALID", `${JSON.stringify(name.slice(0, 120))} is missing`);
    }
    return file;
  }
}

function parent(name: ByteString): ByteString {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
}

/** A path in the archive without `.`, `..` and empty components; none leads out of it. */
function normalise(path: ByteString, base: ByteString): ByteString {
  const components: ByteString[] = [];
  for (const component of [...base.split("/"), ...path.split("/")]) {
    if (component === "" || component === ".") continue;
    if (component === "..") components.pop();
    else components.push(component);
  }
  return components.join("/");
}
