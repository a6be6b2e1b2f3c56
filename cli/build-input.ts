import { statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ArchiveContext, EMPTY_CONTEXT } from "../builder/context/archive.ts";
import { loadedContext, loadedFile } from "../builder/context/loaded.ts";
import {
  ignorePatterns,
  LocalDirectory,
  readHostFile,
} from "../builder/context/local-directory.ts";
import { GitRepository, isGit, isUrl, UrlFile } from "../builder/context/remote.ts";
import { isArchiveHead, peek } from "../builder/context/unpack.ts";
import { DOCKERFILE_BYTES_MAX } from "../builder/limits.ts";
import type { FileSource } from "../builder/solve/request.ts";
import { CliError, usageError } from "./errors.ts";

const DEFAULT_NAME = "Dockerfile";

/** What a build starts from. */
export interface BuildInput {
  readonly dockerfile: Uint8Array;
  readonly dockerfileName: string;
  readonly context: FileSource;
  /** Frees what was fetched. */
  close(): Promise<void>;
}

/**
 * Finds the context and the Dockerfile.
 * @param place a directory, a URL, or `-` for an archive or a Dockerfile on standard input
 * @param file the Dockerfile: beside the context, or `-`
 * @throws {CliError}, BuildError
 */
export async function buildInput(
  place: string,
  file: string | undefined,
  signal: AbortSignal,
): Promise<BuildInput> {
  if (place === "-") {
    if (file === "-")
      throw usageError("the Dockerfile and the context cannot both be standard input");
    return fromStream(process.stdin, file ?? DEFAULT_NAME, signal);
  }
  if (isGit(place)) return fetched(new GitRepository(place, false), file ?? DEFAULT_NAME, signal);
  if (isUrl(place)) {
    const source = new UrlFile(place, undefined);
    const fileName = UrlFile.nameOf(place);
    return inDirectory(file ?? DEFAULT_NAME, (directory, name) =>
      loadedFile(source, fileName, directory, name, signal),
    );
  }
  const directory = resolve(place);
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new CliError("BUILD_NOT_FOUND", `unable to prepare context: path "${place}" not found`);
  }
  const path = file === "-" ? undefined : resolve(file ?? join(directory, DEFAULT_NAME));
  const dockerfile =
    path === undefined ? await readAll(process.stdin) : readHostFile(path, DOCKERFILE_BYTES_MAX);
  if (dockerfile === undefined) {
    throw new CliError("BUILD_NOT_FOUND", `failed to read dockerfile: open ${path}: no such file`, {
      hint: "Name it with -f",
    });
  }
  const context = new LocalDirectory(directory, ignorePatterns(directory, path));
  const dockerfileName = file === "-" || file === undefined ? DEFAULT_NAME : file;
  return { dockerfile, dockerfileName, context, close: async () => {} };
}

/** Standard input: an archive with a Dockerfile in it, or a Dockerfile that needs no files. */
async function fromStream(
  stream: AsyncIterable<Uint8Array>,
  name: string,
  signal: AbortSignal,
): Promise<BuildInput> {
  const { head, whole } = await peek(stream);
  if (isArchiveHead(head)) return fetched(new ArchiveContext(whole), name, signal);
  const dockerfile = await readAll(whole);
  return { dockerfile, dockerfileName: name, context: EMPTY_CONTEXT, close: async () => {} };
}

function fetched(source: FileSource, name: string, signal: AbortSignal): Promise<BuildInput> {
  return inDirectory(name, (directory) => loadedContext(source, directory, name, signal));
}

/** Loads a context into a directory that goes with it. */
async function inDirectory(
  name: string,
  load: (directory: string, name: string) => ReturnType<typeof loadedContext>,
): Promise<BuildInput> {
  const directory = await mkdtemp(join(tmpdir(), "dd-build-"));
  const close = () => rm(directory, { recursive: true, force: true });
  try {
    return { ...(await load(directory, name)), dockerfileName: name, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const bytes of stream) {
    chunks.push(bytes);
    length += bytes.length;
    if (length > DOCKERFILE_BYTES_MAX) break;
  }
  return Buffer.concat(chunks);
}
