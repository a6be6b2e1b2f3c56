import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDigest } from "./digest.ts";
import { storeError } from "./errors.ts";
import { JsonReader } from "./json.ts";
import type { Descriptor } from "./manifest.ts";
import { isCode, type StoreFiles } from "./store-files.ts";

/**
 * A compressed form that a layer has in registries. We keep a layer's files and not what it was compressed to, so
 * this is how a registry that has it already is told what it is.
 */
export interface KnownBlob extends Descriptor {
  /** Where it was seen, newest first: `registry.example/team/app`. */
  readonly repositories: readonly string[];
}

const NAME = "blobs.json";
const BLOBS_MAX = 8;
const REPOSITORIES_MAX = 16;
const json = new JsonReader("STORE_IO");

/** The known blobs of the layer in `directory`. */
export async function readKnownBlobs(directory: string): Promise<KnownBlob[]> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(join(directory, NAME));
  } catch (error) {
    if (isCode(error, "ENOENT")) return [];
    throw storeError(error);
  }
  const blobs = json.array(json.parse(bytes)["blobs"], "blobs", BLOBS_MAX);
  return blobs.flatMap((value) => {
    const blob = json.object(value, "a blob");
    const { digest } = blob;
    if (!isDigest(digest)) return [];
    return {
      digest,
      mediaType: json.string(blob["mediaType"], "mediaType"),
      size: json.size(blob["size"], "size"),
      repositories: json.strings(blob["repositories"], "repositories", REPOSITORIES_MAX),
    };
  });
}

/**
 * Remembers that a repository has the layer in `directory` as `blob`. To be called only for who has seen that
 * the blob unpacks to the layer.
 */
export async function rememberBlob(
  files: StoreFiles,
  directory: string,
  { digest, mediaType, size }: Descriptor,
  repository: string,
): Promise<void> {
  const known = await readKnownBlobs(directory);
  const before = known.find((blob) => blob.digest === digest)?.repositories ?? [];
  if (before[0] === repository) return;
  const repositories = [repository, ...before.filter((each) => each !== repository)];
  const blob = { digest, mediaType, size, repositories: repositories.slice(0, REPOSITORIES_MAX) };
  const others = known.filter((each) => each.digest !== digest);
  const blobs = [blob, ...others].slice(0, BLOBS_MAX);
  await files.replace(join(directory, NAME), Buffer.from(JSON.stringify({ blobs })));
}
