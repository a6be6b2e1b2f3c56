import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { decompress } from "../../sentry/image/decompress.ts";
import { writeLayer } from "../../sentry/image/layer-writer.ts";
import type { ImageNode } from "../../sentry/image/tree.ts";
import { BuildError } from "../errors.ts";
import { contentOf } from "../solve/copy.ts";

/** How archives are compressed, by what they begin with, and the program that knows it. */
const COMPRESSIONS: readonly {
  readonly magic: readonly number[];
  /** Undefined: we know it ourselves. */
  readonly program: string | undefined;
}[] = [
  { magic: [0x1f, 0x8b], program: undefined },
  { magic: [0x42, 0x5a, 0x68], program: "bzip2" },
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], program: "xz" },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], program: "zstd" },
];
const TAR_MAGIC = Buffer.from("ustar");
const TAR_MAGIC_AT = 257;
const HEAD_BYTES = 512;

/** Whether ADD takes a file for an archive: it is a tar, or compressed and a tar inside. */
export async function isArchive(node: ImageNode): Promise<boolean> {
  const head = await firstBytes(contentOf(node), HEAD_BYTES);
  if (isTar(head)) return true;
  if (compressionOf(head) === undefined) return false;
  try {
    return isTar(await firstBytes(plain(node, head), HEAD_BYTES));
  } catch {
    return false; // not what its first bytes say: a file like any other
  }
}

/**
 * Unpacks an archive as a layer into host directory `directory`.
 * @throws {BuildError}, {ImageError}
 */
export async function unpackedTree(
  node: ImageNode,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const head = await firstBytes(contentOf(node), HEAD_BYTES);
  if (signal.aborted) throw new BuildError("BUILD_CANCELED", "context canceled");
  await writeLayer(plain(node, head), directory, { expected: { openEnd: true } });
}

/** Whether what begins so is a tar archive, or compressed. */
export function isArchiveHead(head: Uint8Array): boolean {
  return isTar(head) || compressionOf(head) !== undefined;
}

/** The first bytes of a stream, and the stream with them. */
export async function peek(
  source: AsyncIterable<Uint8Array>,
): Promise<{ head: Uint8Array; whole: AsyncIterable<Uint8Array> }> {
  const chunks = source[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array();
  while (head.length < HEAD_BYTES) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const rest = async function* (): AsyncGenerator<Uint8Array, void, void> {
    yield head;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      yield next.value;
    }
  };
  return { head, whole: rest() };
}

function isTar(head: Uint8Array): boolean {
  return Buffer.from(head)
    .subarray(TAR_MAGIC_AT, TAR_MAGIC_AT + 5)
    .equals(TAR_MAGIC);
}

function compressionOf(head: Uint8Array): (typeof COMPRESSIONS)[number] | undefined {
  return COMPRESSIONS.find(({ magic }) => magic.every((byte, i) => head[i] === byte));
}

async function firstBytes(source: AsyncIterable<Uint8Array>, count: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const bytes of source) {
    chunks.push(bytes);
    length += bytes.length;
    if (length >= count) break;
  }
  return Buffer.concat(chunks).subarray(0, count);
}

/** The archive; what we cannot decompress ourselves a program of the host does. */
async function* plain(node: ImageNode, head: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  const program = compressionOf(head)?.program;
  if (program === undefined) {
    yield* decompress(contentOf(node), () => node.size);
    return;
  }
  const child = spawn(program, ["-dc"], { stdio: ["pipe", "pipe", "ignore"] });
  const failed = new Promise<never>((_, reject) => {
    child.on("error", () =>
      reject(new BuildError("BUILD_UNSUPPORTED", `${program} is not installed on this host`)),
    );
  });
  failed.catch(() => undefined); // looked at below
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  child.stdin.on("error", () => undefined); // the program has had enough: its status tells
  Readable.from(contentOf(node)).pipe(child.stdin);
  try {
    for await (const bytes of child.stdout) yield bytes as Uint8Array;
    const code = await Promise.race([ended, failed]);
    if (code !== 0) throw new BuildError("BUILD_INPUT", `${program} ended with ${code}`);
  } finally {
    child.kill();
  }
}
