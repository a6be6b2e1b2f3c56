import type { Translations } from "../translations/translations.ts";
import type { HostBacking } from "../vfs/open-file.ts";
import type { Executor } from "./address-space.ts";

/** Fewer are not worth looking at the guest's mappings. */
const WORTH_LEAST = 8;

/** An executor is about to end: what it had to translate of files may be of use to the next one. */
export function learn(translations: Translations | undefined, executor: Executor): void {
  const { space } = executor;
  if (translations === undefined || executor.doomed || executor.pid === undefined) return;
  // Whoever borrowed the memory gives it back.
  if (space.executors.size > 1) return;
  const pcs = space.owned.translated();
  if (pcs.length < WORTH_LEAST) return;
  const ranges = space.owned.ranges().filter(({ executable }) => executable === true);
  const found = new Map<HostBacking, number[]>();
  for (const each of pcs) {
    const pc = Number(each);
    const range = ranges.find(({ start, end }) => pc >= start && pc < end);
    if (range?.backing === undefined) continue;
    const places = found.get(range.backing) ?? [];
    places.push(range.offset + pc - range.start);
    found.set(range.backing, places);
  }
  for (const [backing, places] of found) translations.hint(backing, places);
}
