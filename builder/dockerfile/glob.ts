import type { ByteString } from "../../sentry/abi/bytes.ts";
import { BuildError } from "../errors.ts";
import { ANY, matchesWhole, type Place } from "./automaton.ts";

const NOT_SLASH = (character: string): boolean => character !== "/";
const SLASH = (character: string): boolean => character === "/";

/** A pattern of Go's `filepath.Match`, with `**` for any number of directories, over byte strings. */
export class Glob {
  readonly #places: readonly Place[];

  /** @throws {BuildError} BUILD_INPUT when it is no pattern */
  constructor(pattern: ByteString) {
    this.#places = parse(pattern);
  }

  matches(path: ByteString): boolean {
    return matchesWhole(this.#places, path);
  }
}

/** Whether a text has characters that mean something in a pattern. */
export function isGlob(text: string): boolean {
  return /[*?[\\]/.test(text);
}

function parse(pattern: ByteString): readonly Place[] {
  const places: Place[] = [];
  for (let i = 0; i < pattern.length; i++) {
    let character = pattern.charAt(i);
    if (character === "*") {
      if (pattern.charAt(i + 1) !== "*") {
        places.push({ loop: NOT_SLASH, skips: [1] });
        continue;
      }
      while (pattern.charAt(i + 1) === "*") i++;
      // `**/` is no directory, or whatever ends with a slash.
      if (pattern.charAt(i + 1) === "/") i++;
      if (i + 1 >= pattern.length) places.push({ loop: ANY, skips: [1] });
      else places.push({ skips: [1, 2] }, { loop: ANY, step: SLASH });
      continue;
    }
    if (character === "?") {
      places.push({ step: NOT_SLASH });
      continue;
    }
    if (character === "[") {
      const [place, length] = bracket(pattern, i);
      places.push(place);
      i += length - 1;
      continue;
    }
    if (character === "\\") {
      character = pattern.charAt(++i);
      if (character === "") throw badPattern(pattern);
    }
    const is = character;
    places.push({ step: (other) => other === is });
  }
  return places;
}

function bracket(pattern: ByteString, start: number): [place: Place, length: number] {
  const [all, not, body = ""] = /^\[(\^?)((?:\\.|[^\]\\])+)\]/s.exec(pattern.slice(start)) ?? [];
  if (all === undefined) throw badPattern(pattern);
  const characters = [...body.matchAll(/\\(.)|(.)/gs)].map(([, a, b]) => a ?? b ?? "");
  const ranges: (readonly [low: string, high: string])[] = [];
  for (let i = 0; i < characters.length; i++) {
    const low = characters[i] ?? "";
    if (characters[i + 1] !== "-" || i + 2 >= characters.length) {
      ranges.push([low, low]);
      continue;
    }
    const high = characters[i + 2] ?? "";
    if (high < low) throw badPattern(pattern);
    ranges.push([low, high]);
    i += 2;
  }
  const within = (character: string) =>
    ranges.some(([low, high]) => character >= low && character <= high);
  const step = (character: string) => character !== "/" && within(character) === (not !== "^");
  return [{ step }, all.length];
}

function badPattern(pattern: string): BuildError {
  return new BuildError("BUILD_INPUT", `syntax error in pattern: ${JSON.stringify(pattern)}`);
}
