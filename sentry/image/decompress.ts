import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as zlib from "node:zlib";
import { ImageError } from "./errors.ts";
import { LAYER_RATIO_FREE_BYTES, LAYER_RATIO_MAX } from "./limits.ts";

/** Large enough that a trip to zlib's thread and back does not show. */
const CHUNK_BYTES = 256 * 1024;
const MAGIC_BYTES = 6;
/** What a program may use to unpack: more than any usual archive needs. */
const PROGRAM_MEMORY_MIB = 256;

/** Newer Nodes know zstd; the types of the oldest one we support do not. */
const zstd = zlib as unknown as { createZstdDecompress?: (options: object) => zlib.Gunzip };

interface Compression {
  readonly name: string;
  readonly magic: readonly number[];
  /** Unpacks in this process. */
  readonly open?: (() => zlib.Gunzip) | undefined;
  /** Else a program does, from its input to its output. Docker has it so for xz. */
  readonly program?: readonly [name: string, ...options: string[]];
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
    program: ["zstd", "-d", "-c", "-q", `--memory=${PROGRAM_MEMORY_MIB}MB`],
  },
  {
    name: "xz",
    magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a],
    program: ["xz", "-d", "-c", "-q", `--memlimit-decompress=${PROGRAM_MEMORY_MIB}MiB`],
  },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68], program: ["bzip2", "-d", "-c", "-q"] },
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
  if (compression === undefined) yield* whole;
  else if (compression.open !== undefined) {
    const codec = compression.open();
    yield* weighed(unpack(whole, codec), taken);
    // zlib overlooks what follows after the end, when it looks like padding; Go's gzip does not.
    if (codec.bytesWritten !== taken()) {
      throw new ImageError(
        "LAYER_CORRUPT",
        "there are bytes behind the end of the compressed archive",
      );
    }
  } else yield* weighed(unpackBy(whole, compression), taken);
}

/** Stops what grows beyond all measure. */
async function* weighed(
  unpacked: AsyncIterable<Uint8Array>,
  taken: () => number,
): AsyncGenerator<Uint8Array, void, void> {
  let given = 0;
  for await (const chunk of unpacked) {
    given += chunk.length;
    if (given > LAYER_RATIO_FREE_BYTES && given > taken() * LAYER_RATIO_MAX) {
      throw new ImageError("LAYER_LIMIT", `it unpacks to over ${LAYER_RATIO_MAX} times its size`);
    }
    yield chunk;
  }
}

async function* unpack(
  source: AsyncIterable<Uint8Array>,
  codec: Duplex,
): AsyncGenerator<Uint8Array, void, void> {
  const feeding = pipeline(Readable.from(source, { objectMode: false }), codec);
  // An error also comes out of the codec below; this is only so that it counts as handled.
  feeding.catch(() => undefined);
  try {
    for await (const chunk of codec as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    throw codecError(error);
  }
}

/** What a program makes of `source`. Its output counts only if the program ends well. */
async function* unpackBy(
  source: AsyncIterable<Uint8Array>,
  { name, program }: Compression,
): AsyncGenerator<Uint8Array, void, void> {
  const [command = "", ...options] = program ?? [];
  const path = findProgram(command);
  if (path === undefined) {
    throw new ImageError(
      "LAYER_UNSUPPORTED",
      `${name} compression, without the program ${command} on this machine`,
    );
  }
  const child = spawn(path, options, { stdio: ["pipe", "pipe", "ignore"], env: {} });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("close", resolve);
    child.on("error", reject);
  });
  ended.catch(() => undefined); // it is looked at below
  // A program that ends early does not read to the end; its exit says why.
  let failure: unknown;
  const feeding = pipeline(Readable.from(source, { objectMode: false }), child.stdin).catch(
    (error: unknown) => {
      if (error instanceof ImageError) failure = error;
    },
  );
  try {
    yield* child.stdout as AsyncIterable<Uint8Array>;
    const code = await ended;
    await feeding;
    if (failure !== undefined) throw failure;
    if (code !== 0) throw new ImageError("LAYER_CORRUPT", `${command} ended with ${code}`);
  } finally {
    child.kill("SIGKILL");
    child.stdin.destroy();
  }
}

/** Where a program is, in the directories of PATH that are absolute. */
function findProgram(name: string): string | undefined {
  const directories = (process.env["PATH"] ?? "").split(delimiter).filter(isAbsolute);
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
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
