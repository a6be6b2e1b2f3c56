/** Reads the structs of a FlatBuffers schema and prints them as C++ and as TypeScript. */

/** A field of a struct: a scalar, or a fixed array of one. */
export interface LayoutField {
  readonly name: string;
  readonly type: ScalarType;
  readonly count: number;
  readonly offset: number;
  readonly comment: string;
}

export interface LayoutStruct {
  readonly name: string;
  readonly comment: readonly string[];
  readonly fields: readonly LayoutField[];
  readonly size: number;
}

const SCALARS = {
  ubyte: { size: 1, cpp: "uint8_t" },
  ushort: { size: 2, cpp: "uint16_t" },
  uint: { size: 4, cpp: "uint32_t" },
  int: { size: 4, cpp: "int32_t" },
  ulong: { size: 8, cpp: "uint64_t" },
  long: { size: 8, cpp: "int64_t" },
} as const;
type ScalarType = keyof typeof SCALARS;

const FIELD = /^(\w+):\s*(?:\[(\w+):(\d+)\]|(\w+));\s*(?:\/\/\s*(.*))?$/;

/** The structs of a schema, laid out by FlatBuffers' rules (natural alignment, no implicit padding). */
export function parseStructs(schema: string): LayoutStruct[] {
  const structs: LayoutStruct[] = [];
  let comment: string[] = [];
  let open: { name: string; comment: string[]; fields: LayoutField[] } | undefined;
  let end = 0;
  for (const raw of schema.split("\n")) {
    const line = raw.trim();
    const start = /^struct (\w+) \{$/.exec(line);
    if (open === undefined) {
      if (line.startsWith("//")) comment.push(line.slice(2).trim());
      else if (start) {
        open = { name: start[1] as string, comment, fields: [] };
        comment = [];
        end = 0;
      } else if (line === "") comment = [];
      continue;
    }
    if (line === "}") {
      const align = Math.max(...open.fields.map((field) => SCALARS[field.type].size));
      if (end % align !== 0) throw new Error(`${open.name} needs explicit padding at its end`);
      structs.push({ ...open, size: end });
      open = undefined;
      continue;
    }
    if (line === "" || line.startsWith("//")) continue;
    const match = FIELD.exec(line);
    const type = (match?.[2] ?? match?.[4]) as ScalarType | undefined;
    if (match === null || type === undefined || !(type in SCALARS)) {
      throw new Error(`Cannot read this field of ${open.name}: ${line}`);
    }
    const { size } = SCALARS[type];
    if (end % size !== 0)
      throw new Error(`${open.name}.${match[1]} needs explicit padding before it`);
    const count = match[3] === undefined ? 1 : Number(match[3]);
    const name = match[1] as string;
    open.fields.push({ name, type, count, offset: end, comment: match[5] ?? "" });
    end += size * count;
  }
  return structs;
}

const HEADER = "Generated from ring/ring.fbs by `npm run gen`. Do not edit.";

/** The structs as a C++ header: plain structs with their offsets asserted. */
export function toCpp(structs: readonly LayoutStruct[], namespace: string): string {
  const out = [
    `// ${HEADER}`,
    "// clang-format off",
    "#pragma once",
    "",
    "#include <cstddef>",
    "#include <cstdint>",
    "",
  ];
  out.push(`namespace ${namespace} {`, "");
  for (const struct of structs) {
    for (const line of struct.comment) out.push(line === "" ? "//" : `// ${line}`);
    out.push(`struct ${struct.name} {`);
    for (const field of struct.fields) {
      const array = field.count === 1 ? "" : `[${field.count}]`;
      out.push(`  ${SCALARS[field.type].cpp} ${field.name}${array};`);
    }
    out.push("};");
    for (const field of struct.fields) {
      out.push(`static_assert(offsetof(${struct.name}, ${field.name}) == ${field.offset});`);
    }
    out.push(`static_assert(sizeof(${struct.name}) == ${struct.size});`, "");
  }
  out.push(`}  // namespace ${namespace}`, "");
  return out.join("\n");
}

const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** The structs as TypeScript: size and byte offsets. */
export function toTypeScript(structs: readonly LayoutStruct[]): string {
  const out = [`/** ${HEADER} */`, ""];
  for (const struct of structs) {
    out.push(`/** ${struct.comment.join(" ")} */`);
    out.push(`export const ${struct.name} = {`, `  size: ${struct.size},`);
    for (const field of struct.fields) {
      if (field.comment !== "") out.push(`  /** ${field.comment} */`);
      out.push(`  ${camel(field.name)}: ${field.offset},`);
    }
    out.push("} as const;", "");
  }
  return out.join("\n");
}
