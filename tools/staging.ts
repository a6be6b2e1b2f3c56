/** Prints the executor's staging table: what of each call's arguments travels through shared memory. */
import { ISAS, type Isa, NUMBERS } from "../sentry/abi/numbers.ts";
import type { Arg } from "../sentry/syscalls/define.ts";
import { SYSCALLS } from "../sentry/syscalls/table.ts";

/** Structures larger than this are read and written in place: none is hot. */
const STRUCT_MAX = 1024;

function cell(arg: Arg<unknown> | undefined): string {
  const stage = arg?.stage;
  switch (stage?.kind) {
    case "string":
      return "{kString, 0}";
    case "in":
      return stage.size <= STRUCT_MAX ? `{kIn, ${stage.size}}` : "{kValue, 0}";
    case "out":
      return stage.size <= STRUCT_MAX ? `{kOut, ${stage.size}}` : "{kValue, 0}";
    case "inBuffer":
      return `{kInBuffer, ${stage.lengthArg}}`;
    case "outBuffer":
      return `{kOutBuffer, ${stage.lengthArg}}`;
    default:
      return "{kValue, 0}";
  }
}

/** The rows of one instruction set, by number, as C++ initialisers; only calls with something to stage. */
export function stagingTable(isa: Isa): string {
  const column = ISAS.indexOf(isa);
  const rows = [...SYSCALLS.values()]
    .map((row) => ({ row, number: NUMBERS[row.name][column] ?? -1 }))
    .filter(({ number }) => number >= 0)
    .sort((a, b) => a.number - b.number)
    .map(({ row, number }) => {
      const cells = Array.from({ length: 6 }, (_, i) => cell(row.args[i]?.arg));
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
