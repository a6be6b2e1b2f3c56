import { createHash, type Hash } from "node:crypto";
import { ImageError } from "./errors.ts";

/** The name of some content: `sha256:` and 64 lower-case hexadecimal digits, nothing else. */
export type Digest = `sha256:${string}`;

const GRAMMAR = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: unknown): text is Digest {
  return typeof text === "string" && GRAMMAR.test(text);
}

/**
 * A digest from a stranger. Digests become file names in the store, so nothing else ever gets there.
 * @throws {ImageError} DIGEST_INVALID
 */
export function parseDigest(text: unknown): Digest {
  if (isDigest(text)) return text;
  throw new ImageError("DIGEST_INVALID", JSON.stringify(String(text)).slice(0, 120));
}

/** The hexadecimal digits of a digest: a safe file name. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}

export function digestOf(bytes: Uint8Array): Digest {
  return finishDigest(createHash("sha256").update(bytes));
}

/** The digest of what went into `hash`, a sha256. */
export function finishDigest(hash: Hash): Digest {
  return `sha256:${hash.digest("hex")}`;
}
