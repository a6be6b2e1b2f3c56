import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { ByteString } from "../../sentry/abi/bytes.ts";
import { fromText } from "../../sentry/abi/bytes.ts";
import { openImage } from "../../sentry/image/merged-tree.ts";
import type { ImageNode } from "../../sentry/image/tree.ts";
import { PathMatcher, readIgnoreFile } from "../dockerfile/ignore.ts";
import { BuildError } from "../errors.ts";
import { DOCKERFILE_BYTES_MAX, IGNORE_BYTES_MAX } from "../limits.ts";
import { contentOf } from "../solve/copy.ts";
import type { VertexReport } from "../solve/progress.ts";
import type { FileSource } from "../solve/request.ts";
import { resolvePath } from "../solve/tree-path.ts";
import { isArchive, unpackedTree } from "./unpack.ts";

/** A report that nobody reads. */
const SILENT: VertexReport = {
  vertex: { digest: "", name: "", inputs: [] },
  cached: () => {},
  log: () => {},
  part: (_, work) => work(),
  advance: () => {},
};

/**
 * Loads a context that has its Dockerfile inside, such as an archive or a repository, and reads that. Where the
 * source is nothing but a file, that is the Dockerfile, and the context is empty.
 * @param directory host directory to put things in; it must outlive the build
 * @param name of the Dockerfile; undefined where it is elsewhere, and none is read
 * @throws {BuildError} BUILD_NOT_FOUND without a Dockerfile
 */
export async function loadedContext(
  source: FileSource,
  directory: string,
  name: string | undefined,
  signal: AbortSignal,
): Promise<{
  readonly dockerfile: Uint8Array;
  readonly context: FileSource;
  /** What the context's `.dockerignore` excludes. */
  readonly ignore: PathMatcher;
}> {
  const place = join(directory, "context");
  await source.load(place, undefined, SILENT, signal);
  const tree = openImage([place]);
  try {
    const dockerfile = name === undefined ? new Uint8Array() : await dockerfileIn(tree.root, name);
    if (dockerfile === undefined) {
      throw new BuildError("BUILD_NOT_FOUND", `Cannot locate specified Dockerfile: ${name}`);
    }
    const ignored = await fileIn(tree.root, ".dockerignore", IGNORE_BYTES_MAX);
    const ignore = new PathMatcher(ignored === undefined ? [] : readIgnoreFile(ignored));
    const context: FileSource = { load: (to) => rename(place, to) };
    return { dockerfile, context, ignore };
  } finally {
    tree.close();
  }
}

/**
 * Loads a context that is one file: an archive with the Dockerfile in it, or the Dockerfile itself.
 * @param source of nothing but that file
 * @param fileName what the file is called there
 * @param name of the Dockerfile in an archive, as in {@link loadedContext}
 * @throws {BuildError} BUILD_NOT_FOUND without a Dockerfile
 */
export async function loadedFile(
  source: FileSource,
  fileName: string,
  directory: string,
  name: string | undefined,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<typeof loadedContext>>> {
  const place = join(directory, "file");
  await source.load(place, undefined, SILENT, signal);
  const tree = openImage([place]);
  try {
    const node = tree.root.lookup(fromText(fileName));
    const archive =
      node?.type === "file" && (await isArchive(node))
        ? { load: (to: string) => unpackedTree(node, to, signal) }
        : undefined;
    if (archive !== undefined) return await loadedContext(archive, directory, name, signal);
    return await loadedContext({ load: (to) => rename(place, to) }, directory, fileName, signal);
  } finally {
    tree.close();
  }
}

/** A Dockerfile may be in lower case, where nothing else is asked for. */
async function dockerfileIn(root: ImageNode, name: string): Promise<Uint8Array | undefined> {
  const found = await fileIn(root, name, DOCKERFILE_BYTES_MAX);
  if (found !== undefined || !/(?:^|\/)Dockerfile$/.test(name)) return found;
  return fileIn(root, name.replace(/Dockerfile$/, "dockerfile"), DOCKERFILE_BYTES_MAX);
}

/** The bytes of a file of a tree, or undefined where it is not there. */
export async function fileIn(
  root: ImageNode,
  path: string,
  limitBytes: number,
): Promise<Uint8Array | undefined> {
  const bytes: ByteString = fromText(path);
  const node = resolvePath(root, bytes, true)?.node;
  if (node?.type !== "file") return undefined;
  if (node.size > limitBytes) {
    throw new BuildError("BUILD_INPUT", `${path} has more than ${limitBytes} bytes`);
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of contentOf(node)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
