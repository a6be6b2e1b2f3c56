import type { ByteString } from "../../sentry/abi/bytes.ts";
import { fromText } from "../../sentry/abi/bytes.ts";
import { Glob, isGlob } from "../dockerfile/glob.ts";
import { pathNames } from "../dockerfile/path.ts";

/**
 * Which files of a context a build looks at. It says yes too often rather than too seldom: behind a symlink
 * anything may be meant, so from the name of one on all of the context is needed.
 */
export class NeededPaths {
  readonly #patterns: readonly (readonly (ByteString | Glob)[])[] | undefined;

  /** @param paths as COPY names them; undefined: everything */
  constructor(paths: readonly string[] | undefined) {
    this.#patterns = paths?.map((path) =>
      pathNames(path).map((name) => (isGlob(name) ? new Glob(fromText(name)) : fromText(name))),
    );
  }

  /** Whether a path, or something below it, or all of what it is in, is needed. */
  includes(path: ByteString): boolean {
    if (this.#patterns === undefined) return true;
    const names = path.split("/");
    return this.#patterns.some((pattern) =>
      pattern.slice(0, names.length).every((part, i) => {
        const name = names[i] ?? "";
        return typeof part === "string" ? part === name : part.matches(name);
      }),
    );
  }
}
