import { toText } from "../../sentry/abi/bytes.ts";
import type { Access, Operation, Profile, Rule, SeatbeltValue } from "../model.ts";
import { type GrantedPath, grantedPaths, PathRefused, type PathValues } from "../paths.ts";

/**
 * What `sandbox_init_with_parameters` takes. It is applied late: after dyld, with the ring mapped and
 * the memory for translated code reserved, so the profile need not allow what a start needs. No Mac
 * has run it yet: the tests evaluate it by models of how macOS decides.
 */
export interface SeatbeltProfile {
  /** SBPL, ASCII; the same for every container with as many paths of each kind. */
  readonly text: string;
  /** Names and values for `(param ...)`: no path is ever part of the text. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

const LINE_LENGTH = 96;

/** What each kind of access is called in SBPL. */
const FILE_OPERATIONS: Readonly<Record<Access, readonly string[]>> = {
  read: ["file-read*"],
  execute: ["process-exec*", "file-map-executable"],
  write: ["file-write*"],
};

/** Directories that macOS keeps under /private: a rule for the short name would never match. */
const LINKED_DIRECTORIES = ["/tmp", "/var", "/etc"];

/**
 * The Seatbelt profile. It consists of `(deny default)` and allowances only, so that no decision
 * depends on the order in which macOS looks at rules.
 * @throws PathRefused when a path could not mean on macOS what it says.
 */
export function generateSeatbelt(profile: Profile, values: PathValues = {}): SeatbeltProfile {
  const granted = grantedPaths(profile, values);
  for (const { path } of granted) checkSeatbeltPath(path);
  const header = [
    "(version 1)",
    ...comment(`dd, ${profile.title}: everything is denied but what follows.`),
    "(deny default)",
  ];
  const rules = profile.rules.map((rule) =>
    ruleText(
      rule,
      granted.filter((path) => path.rule === rule.name),
    ),
  );
  const text = [header, ...rules.filter((lines) => lines.length > 0)]
    .map((lines) => `${lines.join("\n")}\n`)
    .join("\n");
  const parameters = granted.map((path) => [parameterName(path), toText(path.path)] as const);
  return { text, parameters };
}

function ruleText(rule: Rule, granted: readonly GrantedPath[]): string[] {
  const allowances = [
    ...granted.flatMap((path) =>
      path.access.flatMap((access) =>
        FILE_OPERATIONS[access].map(
          (operation) => `(allow ${operation} (subpath (param "${parameterName(path)}")))`,
        ),
      ),
    ),
    ...(rule.operations ?? []).map(operationText),
  ];
  if (allowances.length === 0) return [];
  return [...comment(`${rule.name}: ${rule.why}`), ...allowances];
}

function operationText({ name, filter }: Operation): string {
  if (filter === undefined) return `(allow ${name})`;
  const [filterName, ...values] = filter;
  return `(allow ${name} (${[filterName, ...values.map(valueText)].join(" ")}))`;
}

function valueText(value: SeatbeltValue): string {
  if ("symbol" in value) return value.symbol;
  if (!/^[A-Za-z0-9_.:*/-]+$/.test(value.text)) throw new Error(`Cannot quote ${value.text}`);
  return `"${value.text}"`;
}

function parameterName({ parameter, index }: GrantedPath): string {
  return `${parameter.toUpperCase().replaceAll("-", "_")}_${index}`;
}

/** Words as comment lines that stay within the line length. */
function comment(words: string): string[] {
  const lines: string[] = [];
  let line = ";";
  for (const word of words.split(" ")) {
    if (line.length + 1 + word.length > LINE_LENGTH) {
      lines.push(line);
      line = ";";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

function checkSeatbeltPath(path: string): void {
  const shown = JSON.stringify(path.slice(0, 256));
  if (LINKED_DIRECTORIES.some((linked) => path === linked || path.startsWith(`${linked}/`))) {
    throw new PathRefused(`The path ${shown} is a symbolic link on macOS: use /private${path}`);
  }
  if (/[\n\r]/.test(path)) throw new PathRefused(`The path ${shown} contains a line break`);
  if (toText(path).includes("\ufffd")) throw new PathRefused(`The path ${shown} is not UTF-8`);
}
