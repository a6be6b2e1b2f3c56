/** What is asked of a container's files over its control socket; see control-protocol.ts. */
import type { ByteString } from "../abi/bytes.ts";
import type { FilesErrorCode, PathStat } from "../spec.ts";

export type FilesRequest =
  | { readonly op: "files-stat"; readonly path: ByteString }
  /** Answered with what is there; then a tar goes to the pipe sent along. */
  | { readonly op: "files-pack"; readonly path: ByteString }
  /** A tar comes from the pipe sent along. */
  | {
      readonly op: "files-unpack";
      readonly path: ByteString;
      readonly noOverwriteDirNonDir: boolean;
      /** Who everything is to belong to, as `--user` has it; absent: whom the archive says. */
      readonly owner?: string;
    }
  /** A line of JSON per change goes to the pipe sent along. */
  | { readonly op: "files-changes" }
  /** A tar goes to the pipe sent along. */
  | { readonly op: "files-export" }
  | { readonly op: "files-layer" };

export type FilesReply =
  | { readonly kind: "path"; readonly stat: PathStat }
  | { readonly kind: "files-error"; readonly code: FilesErrorCode; readonly message: string };

/** Checks what a client sent. @returns the request, what is wrong with it, or undefined when it is none. */
export function parseFilesRequest(
  value: Record<string, unknown>,
): FilesRequest | string | undefined {
  const { op, path, noOverwriteDirNonDir, owner } = value;
  switch (op) {
    case "files-stat":
    case "files-pack":
      return isPath(path) ? { op, path } : "a path is malformed";
    case "files-unpack":
      if (!isPath(path)) return "a path is malformed";
      if (typeof noOverwriteDirNonDir !== "boolean") return "an unpacking is malformed";
      if (owner === undefined) return { op, path, noOverwriteDirNonDir };
      return typeof owner === "string"
        ? { op, path, noOverwriteDirNonDir, owner }
        : "an owner is malformed";
    case "files-changes":
    case "files-export":
    case "files-layer":
      return { op };
    default:
      return undefined;
  }
}

/** How many descriptors come with it. */
export function descriptorsOf({ op }: FilesRequest): number {
  return op === "files-stat" ? 0 : 1;
}

function isPath(value: unknown): value is ByteString {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: every byte but NUL is allowed
  return typeof value === "string" && /^[\u0001-\u00ff]{0,65536}$/.test(value);
}
