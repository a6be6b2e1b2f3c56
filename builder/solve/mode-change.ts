import { BuildError } from "../errors.ts";

/** What `--chmod` makes of a file's mode: the low twelve bits, before and after. */
export type ModeChange = (mode: number, isDirectory: boolean) => number;

const WHO: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };
const BITS: Readonly<Record<string, number>> = {
  r: 0o444,
  w: 0o222,
  x: 0o111,
  s: 0o6000,
  t: 0o1000,
};
const CLAUSE = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/;

/**
 * Reads a mode as chmod(1) takes it: octal digits, or `u=rwX,go-w`.
 * @throws {BuildError} DOCKERFILE_INVALID
 */
export function parseModeChange(text: string): ModeChange {
  if (/^[0-7]{1,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) {
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const clauses = text.split(",").map((clause) => {
    const [, who, actions] = CLAUSE.exec(clause) ?? [];
    if (who === undefined || actions === undefined) {
      throw new BuildError(
        "DOCKERFILE_INVALID",
        `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
      );
    }
    const mask = [...(who === "" ? "a" : who)].reduce((bits, each) => bits | (WHO[each] ?? 0), 0);
    return { mask, actions: [...actions.matchAll(/([-+=])([rwxXstugo]*)/g)] };
  });
  return (mode, isDirectory) => {
    let changed = mode;
    for (const { mask, actions } of clauses) {
      for (const [, operator = "", letters = ""] of actions) {
        const bits = bitsOf(letters, changed, isDirectory) & mask;
        if (operator === "+") changed |= bits;
        else if (operator === "-") changed &= ~bits;
        else changed = (changed & ~(mask & 0o777)) | bits;
      }
    }
    return changed & 0o7777;
  };
}

function bitsOf(letters: string, mode: number, isDirectory: boolean): number {
  if (/^[ugo]$/.test(letters)) {
    const own = (mode >> { u: 6, g: 3, o: 0 }[letters as "u" | "g" | "o"]) & 0o7;
    return own | (own << 3) | (own << 6);
  }
  let bits = 0;
  for (const letter of letters) {
    if (letter !== "X") bits |= BITS[letter] ?? 0;
    else if (isDirectory || (mode & 0o111) !== 0) bits |= 0o111;
  }
  return bits;
}
