/** docs/syscalls.md: every Linux system call, and how much of it a container has. */
import { ISAS, NUMBERS, type SyscallName } from "../sentry/abi/numbers.ts";
import type { Syscall } from "../sentry/syscalls/define.ts";

type Degree = "full" | "partial" | "not";

interface Entry {
  readonly name: string;
  /** One per instruction set; -1: it does not have the call. */
  readonly numbers: readonly number[];
  readonly degree: Degree;
  /** What is missing of a partial call. */
  readonly note: string;
}

function entryOf(name: string, row: Syscall | undefined): Entry {
  const numbers = NUMBERS[name as SyscallName];
  if (row === undefined) return { name, numbers, degree: "not", note: "" };
  if (row.support === "full") return { name, numbers, degree: "full", note: "" };
  return { name, numbers, degree: "partial", note: row.support.partial };
}

/**
 * The page, from the rows.
 * @param rows by name; a call of Linux without a row is one that is answered with ENOSYS.
 */
export function compatibility(rows: ReadonlyMap<string, Syscall>): string {
  const entries = Object.keys(NUMBERS)
    .sort()
    .map((name) => entryOf(name, rows.get(name)));
  const count = (degree: Degree) => entries.filter((entry) => entry.degree === degree).length;
  const lines = entries.map(({ name, numbers, degree, note }) => {
    const cells = numbers.map((number) => (number < 0 ? "" : String(number)));
    const text = note === "" ? degree : `${degree}: ${note.replaceAll("|", "\\|")}`;
    return `| \`${name}\` | ${cells.join(" | ")} | ${text} |`;
  });
  return `# System calls

<!-- Generated from the rows of sentry/syscalls by \`npm run gen\`. -->

Every system call of Linux, its number on each instruction set, and how much of it a container has:
full, partial with what is missing, or not there (those answer ENOSYS, as an older kernel would).
The table says what the rows claim; \`test/conformance\` is what checks them.

| calls | full | partial | not |
|---|---|---|---|
| ${entries.length} | ${count("full")} | ${count("partial")} | ${count("not")} |

| call | ${ISAS.join(" | ")} | support |
|---|${ISAS.map(() => "---:|").join("")}---|
${lines.join("\n")}
`;
}
