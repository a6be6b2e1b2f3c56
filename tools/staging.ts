/** Prints the executor's staging table: what of each call's arguments travels through shared memory. */
import { ISAS, type Isa, NUMBERS, type SyscallName } from "../sentry/abi/numbers.ts";
import type { Arg } from "../sentry/syscalls/define.ts";
import { SYSCALLS } from "../sentry/syscalls/table.ts";

/** Structures larger than this are read and written in place: none is hot. */
const STRUCT_MAX = 1024;

function cell(arg: Arg<unknown> | undefined, isa: Isa): string {
  const stage = arg?.stage;
  switch (stage?.kind) {
    case "string":
      return "{kString, 0}";
    case "in":
      return structCell("kIn", stage.size, isa);
    case "out":
      return structCell("kOut", stage.size, isa);
    case "inBuffer":
      return `{kInBuffer, ${stage.lengthArg}}`;
    case "outBuffer":
      return `{kOutBuffer, ${stage.lengthArg}}`;
    default:
      return "{kValue, 0}";
  }
}

function structCell(kind: string, size: number | Record<Isa, number>, isa: Isa): string {
  const bytes = typeof size === "number" ? size : size[isa];
  return bytes <= STRUCT_MAX ? `{${kind}, ${bytes}}` : "{kValue, 0}";
}

/** The rows of one instruction set, by number, as C++ initialisers; only calls with something to stage. */
export function stagingTable(isa: Isa): string {
  const column = ISAS.indexOf(isa);
  const rows = [...SYSCALLS.values()]
    .map((row) => ({ row, number: NUMBERS[row.name][column] ?? -1 }))
    .filter(({ number }) => number >= 0)
    .sort((a, b) => a.number - b.number)
    .map(({ row, number }) => {
      const cells = Array.from({ length: 6 }, (_, i) => cell(row.args[i]?.arg, isa));
      return { number, name: row.name, cells };
    })
    .filter(({ cells }) => cells.some((text) => text !== "{kValue, 0}"));
  const lines = rows.map(
    ({ number, name, cells }) => `{${number}, {${cells.join(", ")}}},  // ${name}`,
  );
  return [
    "// Generated from sentry/syscalls by `npm run gen`. Do not edit.",
    "// clang-format off",
    ...lines,
    "",
  ].join("\n");
}

/** For each call of `guest`, by its number there, the number of `host` or -1, as C++ initialisers. */
export function numberTable(guest: Isa, host: Isa): string {
  const from = ISAS.indexOf(guest);
  const to = ISAS.indexOf(host);
  const names = new Map<number, SyscallName>(
    Object.entries(NUMBERS).map(([name, numbers]) => [numbers[from] ?? -1, name as SyscallName]),
  );
  const count = Math.max(...names.keys()) + 1;
  const lines = Array.from({ length: count }, (_, number) => {
    const name = names.get(number);
    return name === undefined ? "-1," : `${NUMBERS[name][to] ?? -1},  // ${name}`;
  });
  return [
    "// Generated from sentry/abi/numbers.ts by `npm run gen`. Do not edit.",
    "// clang-format off",
    ...lines,
    "",
  ].join("\n");
}
