/** Where a copy goes and under which name: docker cp's rules, which are those of `cp -r`. */
import type { ByteString } from "../sentry/abi/bytes.ts";
import { baseName } from "../sentry/archive/paths.ts";
import { CliError } from "./errors.ts";

export interface CopySource {
  /** Absolute; ends in `/.` when only what is in the directory is meant. */
  readonly path: ByteString;
  readonly isDirectory: boolean;
}

export interface CopyTarget {
  /** Absolute; a slash at its end says that it must be a directory. */
  readonly path: ByteString;
  readonly exists: boolean;
  readonly isDirectory: boolean;
}

export interface CopyPlan {
  /** The directory that everything is unpacked in. */
  readonly directory: ByteString;
  /** What the source is to be called there. */
  readonly name: ByteString;
}

/**
 * @throws {CliError} `CANNOT_COPY_DIRECTORY` onto a file, `NO_SUCH_DIRECTORY` for a file into a directory that
 *   is not there.
 */
export function planCopy(source: CopySource, target: CopyTarget): CopyPlan {
  const bare = target.path.replace(/(?:\/\.?)+$/, "") || "/";
  if (target.exists && target.isDirectory) {
    return { directory: target.path, name: baseName(source.path) };
  }
  if (target.exists && source.isDirectory) {
    throw new CliError("CANNOT_COPY_DIRECTORY", "cannot copy directory");
  }
  if (!target.exists && !source.isDirectory && bare !== target.path) {
    throw new CliError("NO_SUCH_DIRECTORY", "no such directory");
  }
  const slash = bare.lastIndexOf("/");
  return { directory: bare.slice(0, slash) || "/", name: bare.slice(slash + 1) };
}
