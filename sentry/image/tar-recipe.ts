import { createReadStream, createWriteStream, type WriteStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { finished, pipeline } from "node:stream/promises";
import { createGunzip, createGzip, type Gzip } from "node:zlib";
import { ImageError } from "./errors.ts";
import { PACK_NAMES } from "./pack-writer.ts";

/**
 * How to make a layer's archive again, bit for bit: everything of it that is no content of a file (headers,
 * padding, the end) and, in between, where in the packs the contents are. Without it a layer's digest would be
 * lost: two archives of the same files are seldom the same bytes.
 *
 * The file is compressed frames: a kind, then for bytes their number (u32) and they themselves, for contents
 * an offset and a length (f64 each), all little endian.
 */
export const RECIPE_NAME = "recipe.gz";

const KIND_BYTES = 0;
const KIND_SHARED = 1;
const KIND_PRIVATE = 2;
const BYTES_HEADER = 1 + 4;
const CONTENT_FRAME = 1 + 8 + 8;
/** Headers compress to a twentieth at once; trying harder gains little. */
const LEVEL = 1;
/** Contents are given in pieces of at most this. */
const PIECE_BYTES = 256 * 1024;

interface Range {
  readonly shared: boolean;
  readonly offset: number;
  length: number;
}

/** Writes the recipe of a layer while its archive streams by. */
export class RecipeWriter {
  readonly #gzip: Gzip = createGzip({ level: LEVEL });
  readonly #file: WriteStream;
  readonly #written: Promise<void>;
  #frames: Uint8Array[] = [];
  #range: Range | undefined;

  constructor(directory: string) {
    const path = join(directory, RECIPE_NAME);
    this.#file = createWriteStream(path, { flags: "wx", mode: 0o600, flush: true });
    this.#written = pipeline(this.#gzip, this.#file);
    this.#written.catch(() => undefined); // whoever waits for it is told
  }

  /** Bytes of the archive that are no content. */
  raw(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#endRange();
    const header = Buffer.alloc(BYTES_HEADER);
    header.writeUInt8(KIND_BYTES);
    header.writeUInt32LE(bytes.length, 1);
    this.#frames.push(header, bytes);
  }

  /** `length` bytes of the archive that are in a pack at `offset`. */
  content(shared: boolean, offset: number, length: number): void {
    const range = this.#range;
    if (range?.shared === shared && range.offset + range.length === offset) {
      range.length += length;
      return;
    }
    this.#endRange();
    this.#range = { shared, offset, length };
  }

  /** To be called now and then: what has come so far goes to the disk. */
  async drain(): Promise<void> {
    if (this.#frames.length === 0) return;
    const bytes = Buffer.concat(this.#frames);
    this.#frames = [];
    if (this.#gzip.write(bytes)) return;
    await Promise.race([
      new Promise<void>((resolve) => this.#gzip.once("drain", resolve)),
      this.#written, // rejects when the disk is full
    ]);
  }

  /** Makes the recipe durable. */
  async finish(): Promise<void> {
    this.#endRange();
    await this.drain();
    this.#gzip.end();
    await this.#written;
  }

  /** Lets go of the file, whatever has come of it. */
  async close(): Promise<void> {
    this.#gzip.destroy();
    this.#file.destroy();
    await finished(this.#file).catch(() => undefined);
  }

  #endRange(): void {
    const range = this.#range;
    this.#range = undefined;
    if (range === undefined) return;
    const frame = Buffer.alloc(CONTENT_FRAME);
    frame.writeUInt8(range.shared ? KIND_SHARED : KIND_PRIVATE);
    frame.writeDoubleLE(range.offset, 1);
    frame.writeDoubleLE(range.length, 9);
    this.#frames.push(frame);
  }
}

/**
 * The archive of the layer in `directory`, exactly as it was when the layer was made.
 * @throws {ImageError} STORE_IO where the store is damaged
 */
export async function* rebuildTar(directory: string): AsyncGenerator<Uint8Array, void, void> {
  const shared = await open(join(directory, PACK_NAMES.shared), "r");
  try {
    const secret = await open(join(directory, PACK_NAMES.private), "r");
    try {
      for await (const frame of frames(directory)) {
        if (frame instanceof Uint8Array) yield frame;
        else yield* contents(frame.shared ? shared : secret, frame);
      }
    } finally {
      await secret.close();
    }
  } finally {
    await shared.close();
  }
}

async function* frames(directory: string): AsyncGenerator<Uint8Array | Range, void, void> {
  const file = createReadStream(join(directory, RECIPE_NAME));
  const gunzip = createGunzip({ chunkSize: PIECE_BYTES });
  const feeding = pipeline(file, gunzip);
  feeding.catch(() => undefined); // it also comes out of what is read
  let rest: Buffer = Buffer.alloc(0);
  let bytesLeft = 0;
  for await (const chunk of gunzip as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      if (bytesLeft > 0) {
        if (rest.length === 0) break;
        const bytes = rest.subarray(0, bytesLeft);
        rest = rest.subarray(bytes.length);
        bytesLeft -= bytes.length;
        yield bytes;
      } else if (rest[0] === KIND_BYTES) {
        if (rest.length < BYTES_HEADER) break;
        bytesLeft = rest.readUInt32LE(1);
        rest = rest.subarray(BYTES_HEADER);
      } else {
        if (rest.length < CONTENT_FRAME) break;
        const offset = rest.readDoubleLE(1);
        const length = rest.readDoubleLE(9);
        yield { shared: rest[0] === KIND_SHARED, offset, length };
        rest = rest.subarray(CONTENT_FRAME);
      }
    }
  }
  if (rest.length > 0 || bytesLeft > 0) throw damaged(directory);
}

async function* contents(
  pack: FileHandle,
  { offset, length }: Range,
): AsyncGenerator<Uint8Array, void, void> {
  for (let done = 0; done < length; ) {
    const room = Buffer.allocUnsafe(Math.min(PIECE_BYTES, length - done));
    const { bytesRead } = await pack.read(room, 0, room.length, offset + done);
    if (bytesRead === 0) throw damaged("a pack");
    done += bytesRead;
    yield room.subarray(0, bytesRead);
  }
}

function damaged(what: string): ImageError {
  return new ImageError("STORE_IO", `${what} ends too early`);
}
