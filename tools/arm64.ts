/** Docs of what the arm64 translator covers, from the rows of its table of instructions. */
import { readFileSync } from "node:fs";

/** A row of guest/isa/a64: its identifier, its name in the manual, its bits from 31 down. */
export interface InstructionRow {
  readonly id: string;
  readonly name: string;
  readonly bits: string;
}

interface Part {
  readonly file: string;
  readonly title: string;
}

const TABLE = new URL("../../../guest/isa/a64/", import.meta.url);
const PARTS: readonly Part[] = [
  { file: "base.inc", title: "Integer data processing, branches, system" },
  { file: "memory.inc", title: "Loads, stores, exclusives, atomics" },
  { file: "float.inc", title: "Scalar floating point" },
  { file: "vector.inc", title: "Vectors: moves, permutations, structures in memory" },
  { file: "vector_arithmetic.inc", title: "Vector arithmetic" },
  { file: "vector_float.inc", title: "Vector floating point" },
  { file: "crypto.inc", title: "Cryptography" },
];

function rowsOf({ file }: Part): InstructionRow[] {
  const text = readFileSync(new URL(file, TABLE), "utf8");
  const rows = text.matchAll(/^DD_A64\((\w+),\s*"([^"]+)",\s*"([01A-Za-z]{32})"\)$/gm);
  return [...rows].map(([, id = "", name = "", bits = ""]) => ({ id, name, bits }));
}

/** Every row of the table. */
export function readRows(): InstructionRow[] {
  return PARTS.flatMap(rowsOf);
}

/** docs/arm64.md. */
export function arm64Coverage(): string {
  const sections = PARTS.map((part) => {
    const rows = rowsOf(part);
    const lines = rows.map(({ name, bits }) => `| ${name} | \`${bits}\` |`);
    return `## ${part.title}\n\n| instruction | bits 31 to 0 |\n|---|---|\n${lines.join("\n")}\n`;
  });
  return `# arm64 instructions

Generated from the rows of \`guest/isa/a64\` by \`npm run gen\`. What an arm64 guest can execute where
its code is translated: ARMv8.2-A user mode with the extensions AES, PMULL, SHA1, SHA2, SHA3, SHA512,
CRC32, LSE, FP16, RDM, DotProd, FHM, FCMA, JSCVT, LRCPC and DPB, as \`AT_HWCAP\` says
(\`guest/isa/a64/features.h\`). Pointer authentication and BTI in hint space do nothing. Everything else
is undefined: SIGILL at the instruction.

System registers that can be read: FPCR, FPSR, NZCV, TPIDR_EL0 (these also written), TPIDRRO_EL0,
CTR_EL0, DCZID_EL0, CNTVCT_EL0, CNTFRQ_EL0, and the identification registers of EL1 as Linux emulates
them. The upper byte of an address is a tag: accesses ignore it, system calls answer EFAULT.

In the bits, 0 and 1 are fixed, letters are fields, \`x\` is ignored, \`H\` is a field that is not 0.

${sections.join("\n")}`;
}
