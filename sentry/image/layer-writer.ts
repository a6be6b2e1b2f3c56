import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { decompress } from "./decompress.ts";
import { type Digest, finishDigest } from "./digest.ts";
import { ImageError, storeError } from "./errors.ts";
import { encodeIndex } from "./index-writer.ts";
import { type BuildInode, LayerBuilder } from "./layer-builder.ts";
import { LAYER_BYTES_MAX } from "./limits.ts";
import { INDEX_NAME } from "./pack-reader.ts";
import { PackWriter } from "./pack-writer.ts";
import { writeDurably } from "./store-files.ts";
import { readTar, type TarEntry, type TarVisitor } from "./tar-reader.ts";
import { RecipeWriter } from "./tar-recipe.ts";

/** What is known of a layer before it is read; each must turn out to be so. */
export interface LayerExpectation {
  /** Of the stream as it arrives. */
  readonly digest?: Digest;
  readonly size?: number;
  /** Of the archive when unpacked. */
  readonly diffId?: Digest;
  /** It may stop after the bytes of its last member: docker's own client sends such contexts. */
  readonly openEnd?: boolean;
}

/** What a layer turned out to be. */
export interface LayerFacts {
  readonly digest: Digest;
  readonly size: number;
  readonly diffId: Digest;
  /** Bytes of the unpacked archive. */
  readonly unpackedSize: number;
  /** Bytes of the files in it. */
  readonly contentBytes: number;
}

export interface WriteLayerOptions {
  readonly expected?: LayerExpectation;
  /** Called with the number of bytes of the stream that each step took. */
  readonly onBytes?: (bytes: number) => void;
}

interface Writers {
  readonly pack: PackWriter;
  readonly recipe: RecipeWriter;
}

/**
 * Turns a layer (a tar archive, perhaps compressed) into packs and an index in `directory`, which is
 * made and must not exist. Everything is durable when the promise resolves; when it rejects the
 * directory holds garbage that the caller removes.
 * @throws {ImageError} with the code of whatever is wrong with the layer or the disk
 */
export async function writeLayer(
  source: AsyncIterable<Uint8Array>,
  directory: string,
  { expected = {}, onBytes }: WriteLayerOptions = {},
): Promise<LayerFacts> {
  try {
    await mkdir(directory, { mode: 0o700 });
    const pack = new PackWriter(directory);
    const recipe = new RecipeWriter(directory);
    try {
      return await write(source, directory, { pack, recipe }, expected, onBytes);
    } finally {
      pack.close();
      await recipe.close();
    }
  } catch (error) {
    throw storeError(error);
  }
}

async function write(
  source: AsyncIterable<Uint8Array>,
  directory: string,
  { pack, recipe }: Writers,
  expected: LayerExpectation,
  onBytes: ((bytes: number) => void) | undefined,
): Promise<LayerFacts> {
  const arriving = new Meter(source, expected.size, "SIZE_MISMATCH", onBytes);
  const plain = decompress(arriving, () => arriving.size);
  const unpacked = new Meter(plain, LAYER_BYTES_MAX, "LAYER_LIMIT");
  const builder = new LayerBuilder();
  const visitor = new LayerVisitor(builder, pack, recipe);
  const end = await readTar(paced(unpacked, recipe), visitor);

  const facts: LayerFacts = {
    digest: arriving.digest(),
    size: arriving.size,
    diffId: unpacked.digest(),
    unpackedSize: unpacked.size,
    contentBytes: pack.contentBytes,
  };
  check(facts, expected);
  // What a digest promised is complete; anything else must say itself where it ends.
  const isPromised = expected.digest !== undefined || expected.diffId !== undefined;
  if (expected.openEnd !== true && (end.inPadding || (!end.complete && !isPromised))) {
    throw new ImageError("LAYER_TRUNCATED", "the end of the archive is missing");
  }
  await Promise.all([
    pack.finish(),
    recipe.finish(),
    writeDurably(join(directory, INDEX_NAME), encodeIndex(builder.root, pack.contentBytes)),
  ]);
  return facts;
}

function check(facts: LayerFacts, expected: LayerExpectation): void {
  if (expected.size !== undefined && facts.size !== expected.size) {
    throw new ImageError("SIZE_MISMATCH", `${facts.size} bytes instead of ${expected.size}`);
  }
  if (expected.digest !== undefined && facts.digest !== expected.digest) {
    throw new ImageError("DIGEST_MISMATCH", `${facts.digest} instead of ${expected.digest}`);
  }
  if (expected.diffId !== undefined && facts.diffId !== expected.diffId) {
    throw new ImageError("DIFF_ID_MISMATCH", `${facts.diffId} instead of ${expected.diffId}`);
  }
}

/** Counts and hashes what flows through, and stops it when there is too much. */
class Meter implements AsyncIterable<Uint8Array> {
  size = 0;
  readonly #hash = createHash("sha256");
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #sizeMax: number;
  readonly #code: "SIZE_MISMATCH" | "LAYER_LIMIT";
  readonly #onBytes: ((bytes: number) => void) | undefined;

  constructor(
    source: AsyncIterable<Uint8Array>,
    sizeMax: number | undefined,
    code: "SIZE_MISMATCH" | "LAYER_LIMIT",
    onBytes?: (bytes: number) => void,
  ) {
    this.#source = source;
    this.#sizeMax = sizeMax ?? LAYER_BYTES_MAX;
    this.#code = code;
    this.#onBytes = onBytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of this.#source) {
      this.size += chunk.length;
      if (this.size > this.#sizeMax) {
        throw new ImageError(this.#code, `more than ${this.#sizeMax} bytes`);
      }
      this.#hash.update(chunk);
      this.#onBytes?.(chunk.length);
      yield chunk;
    }
  }

  digest(): Digest {
    return finishDigest(this.#hash.copy());
  }
}

/** Lets the recipe keep up. */
async function* paced(
  source: AsyncIterable<Uint8Array>,
  recipe: RecipeWriter,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) {
    yield chunk;
    await recipe.drain();
  }
}

/** Puts each entry of the archive into the tree, its content into the pack, the rest into the recipe. */
class LayerVisitor implements TarVisitor {
  readonly #builder: LayerBuilder;
  readonly #pack: PackWriter;
  readonly #recipe: RecipeWriter;
  #file: BuildInode | undefined;

  constructor(builder: LayerBuilder, pack: PackWriter, recipe: RecipeWriter) {
    this.#builder = builder;
    this.#pack = pack;
    this.#recipe = recipe;
  }

  entry(entry: TarEntry): void {
    const file = this.#builder.add(entry);
    this.#file = file;
    // Holes cost nothing here, but whoever reads them pays.
    if (this.#pack.contentBytes + entry.size > LAYER_BYTES_MAX) {
      throw new ImageError("LAYER_LIMIT", `files of over ${LAYER_BYTES_MAX} bytes`);
    }
    if (file !== undefined) file.offset = this.#pack.begin(file.size, file.shared);
  }

  /** Content of an entry that is not kept, such as a whiteout with bytes in it, is in the recipe only. */
  content(bytes: Uint8Array, offset: number): void {
    const file = this.#file;
    if (file === undefined) {
      this.#recipe.raw(bytes);
      return;
    }
    this.#pack.write(bytes, offset);
    this.#recipe.content(file.shared, file.offset + offset, bytes.length);
  }

  raw(bytes: Uint8Array): void {
    this.#recipe.raw(bytes);
  }
}
