import { BuildError } from "../errors.ts";
import { EXPANSION_MAX } from "../limits.ts";
import { ANY, type Place, prefixEnd } from "./automaton.ts";

const STAR: Place = { loop: ANY, skips: [1] };
const ANY_ONE: Place = { step: ANY };

/**
 * A shell's pattern as the substitutions of Dockerfiles have it: `*`, `?` and escapes, no brackets. Matching takes
 * time in proportion to pattern and text, whatever they are.
 */
export class ShellPattern {
  readonly #places: readonly Place[];
  readonly #reversed: readonly Place[];

  /** @throws {BuildError} DOCKERFILE_INVALID for an escape that means nothing */
  constructor(pattern: string) {
    this.#places = parse(pattern);
    this.#reversed = this.#places.toReversed();
  }

  /** The text without what matches at its beginning, as little as possible or as much. */
  trimStart(text: string, greedy: boolean): string {
    const characters = [...text];
    const end = prefixEnd(this.#places, characters, 0, greedy);
    return end === undefined ? text : characters.slice(end).join("");
  }

  /** The text without what matches at its end. */
  trimEnd(text: string, greedy: boolean): string {
    const characters = [...text].reverse();
    const end = prefixEnd(this.#reversed, characters, 0, greedy);
    return end === undefined ? text : characters.slice(end).reverse().join("");
  }

  /** The text with the first, or every, longest match replaced. */
  replace(text: string, replacement: string, all: boolean): string {
    const characters = [...text];
    if (all && characters.length ** 2 > EXPANSION_MAX * 64) {
      throw new BuildError("DOCKERFILE_INVALID", "substitution in a text that is too long");
    }
    let result = "";
    let at = 0;
    while (at <= characters.length) {
      const end = prefixEnd(this.#places, characters, at, true);
      if (
        end === undefined ||
        (end === at && this.#places.length > 0 && at === characters.length)
      ) {
        result += characters[at++] ?? "";
        continue;
      }
      result += replacement;
      if (end === at) result += characters[at] ?? "";
      at = Math.max(end, at + 1);
      if (!all) break;
    }
    return result + characters.slice(at).join("");
  }
}

function parse(pattern: string): readonly Place[] {
  const places: Place[] = [];
  const characters = [...pattern];
  for (let i = 0; i < characters.length; i++) {
    let character = characters[i] ?? "";
    if (character === "*") {
      if (places.at(-1) !== STAR) places.push(STAR);
      continue;
    }
    if (character === "?") {
      places.push(ANY_ONE);
      continue;
    }
    if (character === "\\") {
      const escaped = characters[++i] ?? "";
      // In ${} a brace and a slash need an escape that is not the pattern's.
      if (!["*", "?", "\\", "}", "/"].includes(escaped)) {
        throw new BuildError(
          "DOCKERFILE_INVALID",
          `invalid pattern (${pattern}) in substitution: invalid escape '\\${escaped}'`,
        );
      }
      character = escaped;
    }
    places.push({ step: (other) => other === character });
  }
  return places;
}
