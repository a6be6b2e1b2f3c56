import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as zlib from "node:zlib";
import { ImageError } from "./errors.ts";
import { LAYER_RATIO_FREE_BYTES, LAYER_RATIO_MAX } from "./limits.ts";

/** Large enough that a trip to zlib's thread and back does not show. */
const CHUNK_BYTES = 256 * 1024;
const MAGIC_BYTES = 6;

/** Newer Nodes know zstd; the types of the oldest one we support do not. */
const zstd = zlib as unknown as { createZstdDecompress?: (options: object) => zlib.Gunzip };

interface Compression {
  readonly name: string;
  readonly magic: readonly number[];
  readonly open: (() => zlib.Gunzip) | undefined;
}

const COMPRESSIONS: readonly Compression[] = [
  {
    name: "gzip",
    magic: [0x1f, 0x8b],
    open: () => zlib.createGunzip({ chunkSize: CHUNK_BYTES }),
  },
  {
    name: "zstd",
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    open: zstd.createZstdDecompress && (() => openZstd()),
  },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], open: undefined },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68], open: undefined },
];

function openZstd(): zlib.Gunzip {
  if (zstd.createZstdDecompress === undefined) throw new Error("This Node has no zstd");
  return zstd.createZstdDecompress({ chunkSize: CHUNK_BYTES });
}

/**
 * The archive inside of `source`, whose first bytes tell how it is compressed: media types lie.
 * @param taken the bytes of `source` so far, against which the output is weighed
 * @throws {ImageError} LAYER_UNSUPPORTED, LAYER_CORRUPT, LAYER_TRUNCATED or LAYER_LIMIT
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  taken: () => number,
): AsyncGenerator<Uint8Array, void, void> {
  const chunks = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let length = 0;
  while (length < MAGIC_BYTES) {
    const next = await chunks.next();
    if (next.done) break;
    head.push(next.value);
    length += next.value.length;
  }
  const whole = rejoin(head, chunks);
  const compression = recognise(Buffer.concat(head.slice(0, MAGIC_BYTES), Math.min(length, 64)));
  if (compression === undefined) {
    yield* whole;
    return;
  }
  if (compression.open === undefined) {
    throw new ImageError("LAYER_UNSUPPORTED", `${compression.name} compression with this Node`);
  }
  yield* inflate(whole, compression.open(), taken);
}

async function* inflate(
  source: AsyncIterable<Uint8Array>,
  codec: zlib.Gunzip,
  taken: () => number,
): AsyncGenerator<Uint8Array, void, void> {
  const feeding = pipeline(Readable.from(source, { objectMode: false }), codec);
  // An error also comes out of the codec below; this is only so that it counts as handled.
  feeding.catch(() => undefined);
  let given = 0;
  try {
    for await (const chunk of codec as AsyncIterable<Buffer>) {
      given += chunk.length;
      if (given > LAYER_RATIO_FREE_BYTES && given > taken() * LAYER_RATIO_MAX) {
        throw new ImageError("LAYER_LIMIT", `it unpacks to over ${LAYER_RATIO_MAX} times its size`);
      }
      yield chunk;
    }
  } catch (error) {
    throw codecError(error);
  }
  // zlib overlooks what follows after the end, when it looks like padding; Go's gzip does not.
  if (codec.bytesWritten !== taken()) {
    throw new ImageError(
      "LAYER_CORRUPT",
      "there are bytes behind the end of the compressed archive",
    );
  }
}

function codecError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof ImageError || !("code" in error)) return error;
  const code = String(error.code);
  if (code === "Z_BUF_ERROR")
    return new ImageError("LAYER_TRUNCATED", error.message, { cause: error });
  if (code.startsWith("Z_") || code.startsWith("ZSTD_")) {
    return new ImageError("LAYER_CORRUPT", error.message, { cause: error });
  }
  return error;
}

async function* rejoin(
  head: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* head;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

function recognise(head: Uint8Array): Compression | undefined {
  return COMPRESSIONS.find(({ magic }) => magic.every((byte, i) => head[i] === byte));
}
