/**
 * A pattern as places one after the other; what a text leads to is a set of places. So matching takes time in
 * proportion to pattern and text, whatever they are: patterns come from strangers.
 */
export interface Place {
  /** The characters that lead to the next place. */
  readonly step?: (character: string) => boolean;
  /** The characters that lead back here. */
  readonly loop?: (character: string) => boolean;
  /** Places further on that no character is needed for. */
  readonly skips?: readonly number[];
}

export const ANY = (): boolean => true;

/**
 * Where the shortest, or longest, match that begins at `start` ends; undefined where there is none.
 * @param text its characters
 */
export function prefixEnd(
  pattern: readonly Place[],
  text: ArrayLike<string>,
  start: number,
  greedy: boolean,
): number | undefined {
  const last = pattern.length;
  let places = withSkips(pattern, new Set([0]));
  let end = places.has(last) ? start : undefined;
  for (let i = start; i < text.length && places.size > 0; i++) {
    if (end !== undefined && !greedy) return end;
    const character = text[i] ?? "";
    const next = new Set<number>();
    for (const place of places) {
      const { step, loop } = pattern[place] ?? {};
      if (loop?.(character) === true) next.add(place);
      if (step?.(character) === true) next.add(place + 1);
    }
    places = withSkips(pattern, next);
    if (places.has(last)) end = i + 1;
  }
  return end;
}

/** Whether all of the text matches. */
export function matchesWhole(pattern: readonly Place[], text: ArrayLike<string>): boolean {
  return prefixEnd(pattern, text, 0, true) === text.length;
}

function withSkips(pattern: readonly Place[], places: Set<number>): Set<number> {
  for (const place of places) {
    for (const skip of pattern[place]?.skips ?? []) places.add(place + skip);
  }
  return places;
}
