import type { ByteString } from "../../sentry/abi/bytes.ts";
import { fromText } from "../../sentry/abi/bytes.ts";
import { BuildError } from "../errors.ts";
import { IGNORE_BYTES_MAX, IGNORE_PATTERN_MAX, IGNORE_PATTERNS_MAX } from "../limits.ts";
import { Glob } from "./glob.ts";
import { cleanPath } from "./path.ts";

/** The patterns of a `.dockerignore`: comments and blank lines gone, paths relative to the context. */
export function readIgnoreFile(bytes: Uint8Array): readonly string[] {
  if (bytes.length > IGNORE_BYTES_MAX) {
    throw new BuildError("BUILD_INPUT", `.dockerignore has more than ${IGNORE_BYTES_MAX} bytes`);
  }
  const patterns: string[] = [];
  for (const line of Buffer.from(bytes)
    .toString("utf8")
    .replace(/^\uFEFF/, "")
    .split("\n")) {
    if (line.startsWith("#")) continue;
    let pattern = line.trim();
    if (pattern === "") continue;
    const negated = pattern.startsWith("!");
    if (negated) pattern = pattern.slice(1).trim();
    if (pattern !== "") {
      pattern = cleanPath(pattern);
      if (pattern.length > 1) pattern = pattern.replace(/^\//, "");
    }
    patterns.push(negated ? `!${pattern}` : pattern);
  }
  return patterns;
}

interface Rule {
  readonly glob: Glob;
  readonly negated: boolean;
  /** Names it consists of, to know what may lie below a directory. */
  readonly names: readonly string[];
}

/**
 * Which paths a list of patterns excludes, as moby's patternmatcher has it: the last pattern that matches a path, or a
 * directory above it, decides; `!` takes back; `**` is any number of directories.
 */
export class PathMatcher {
  readonly #rules: readonly Rule[];
  readonly #negations: boolean;

  /** @throws {BuildError} BUILD_INPUT */
  constructor(patterns: readonly string[]) {
    if (patterns.length > IGNORE_PATTERNS_MAX) {
      throw new BuildError("BUILD_INPUT", `more than ${IGNORE_PATTERNS_MAX} patterns`);
    }
    this.#rules = patterns.flatMap((text) => rule(text) ?? []);
    this.#negations = this.#rules.some(({ negated }) => negated);
  }

  /** Whether the path, relative to the context, or a directory that it is in, is excluded. */
  excludes(path: ByteString): boolean {
    const prefixes: ByteString[] = [];
    for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
      prefixes.push(path.slice(0, at));
    }
    prefixes.push(path);
    let excluded = false;
    for (const { glob, negated } of this.#rules) {
      if (negated !== excluded) continue;
      if (prefixes.some((prefix) => glob.matches(prefix))) excluded = !negated;
    }
    return excluded;
  }

  /** Whether nothing below an excluded directory can come back: it need not be looked at. */
  prunes(directory: ByteString): boolean {
    if (!this.#negations) return true;
    const names = directory.split("/");
    return !this.#rules.some(
      (rule) =>
        rule.negated &&
        (rule.names.some((name) => /[*?[\\]/.test(name)) ||
          rule.names.slice(0, names.length).every((name, i) => name === names[i])),
    );
  }
}

function rule(text: string): Rule | undefined {
  let pattern = text.trim();
  if (pattern === "") return undefined;
  pattern = cleanPath(pattern);
  const negated = pattern.startsWith("!");
  if (negated) {
    if (pattern === "!") {
      throw new BuildError("BUILD_INPUT", 'illegal exclusion pattern: "!"');
    }
    pattern = cleanPath(pattern.slice(1));
  }
  if (pattern.length > IGNORE_PATTERN_MAX) {
    throw new BuildError("BUILD_INPUT", `a pattern of more than ${IGNORE_PATTERN_MAX} characters`);
  }
  const bytes = fromText(pattern.replace(/^\/+/, "") || ".");
  return { glob: new Glob(bytes), negated, names: bytes.split("/") };
}
