/**
 * The byte layout of {@link Confinement} on its way from the sentry to the launcher: the one source
 * for the encoder below it in `encode.ts` and for the C++ header that `header.ts` generates.
 * Little-endian, every field aligned to its size, no implicit padding.
 */

/** A field: a number, or an array of `{u32, u32, u64}` or `struct sock_filter` items with a limit. */
export interface Field {
  readonly name: string;
  readonly type: "u32" | "u64" | "limit" | "instruction";
  /** Items in the array; 1 for a number. */
  readonly count: number;
  readonly comment: string;
}

export const CONFINEMENT_MAGIC = 0x46436464;
export const CONFINEMENT_VERSION = 1;
export const LIMITS_MAX = 16;
export const NOTIFY_FILTER_MAX = 16;
export const EXECUTOR_FILTER_MAX = 512;

function u32<const Name extends string>(name: Name, comment: string): Field & { name: Name } {
  return { name, type: "u32", count: 1, comment };
}

function u64<const Name extends string>(name: Name, comment: string): Field & { name: Name } {
  return { name, type: "u64", count: 1, comment };
}

export const CONFINEMENT_FIELDS = [
  u32("magic", "kConfinementMagic"),
  u32("version", "kConfinementVersion"),
  u32("size", "sizeof(Confinement)"),
  u32("host_uid", "What user 0 of the namespace is outside; never 0"),
  u32("host_gid", "What group 0 of the namespace is outside; never 0"),
  u32("outer_namespaces", "CLONE_NEW* made by PrepareNamespaces"),
  u32("inner_namespaces", "CLONE_NEW* made by ConfineLauncher"),
  u32("landlock_abi", "The oldest Landlock ABI that will do"),
  u64("landlock_filesystem", "handled_access_fs"),
  u64("landlock_network", "handled_access_net"),
  u64("landlock_scoped", "scoped"),
  u32("speculation", "Bit n: disable PR_SET_SPECULATION_CTRL control n"),
  u32("notify_call", "Number of the designated call"),
  u32("window_first", "First descriptor number for donated files"),
  u32("window_last", "Last descriptor number for donated files"),
  u32("limit_count", "Items used in limits"),
  u32("notify_filter_length", "Items used in notify_filter"),
  u32("executor_filter_length", "Items used in executor_filter"),
  u32("stub_high_at", "Instruction of executor_filter with the upper half of the stub's address"),
  u32("stub_start_at", "The one with the lower half of its start"),
  u32("stub_end_at", "The one with the lower half of its end"),
  { name: "limits", type: "limit", count: LIMITS_MAX, comment: "setrlimit(2), soft = hard" },
  {
    name: "notify_filter",
    type: "instruction",
    count: NOTIFY_FILTER_MAX,
    comment: "Gives the launcher the listener",
  },
  {
    name: "executor_filter",
    type: "instruction",
    count: EXECUTOR_FILTER_MAX,
    comment: "The allow-list",
  },
] as const satisfies readonly Field[];

export type FieldName = (typeof CONFINEMENT_FIELDS)[number]["name"];

const SIZES = { u32: 4, u64: 8, limit: 16, instruction: 8 } as const;

/** Where each field starts, in bytes. */
export const CONFINEMENT_OFFSETS: Readonly<Record<FieldName, number>> = offsets();
/** The whole struct, in bytes. */
export const CONFINEMENT_SIZE: number = CONFINEMENT_FIELDS.reduce(
  (size, field) => size + SIZES[field.type] * field.count,
  0,
);

function offsets(): Record<FieldName, number> {
  const result: Partial<Record<FieldName, number>> = {};
  let offset = 0;
  for (const field of CONFINEMENT_FIELDS) {
    const alignment = field.type === "u64" || field.type === "limit" ? 8 : 4;
    if (offset % alignment !== 0) throw new Error(`Field ${field.name} needs padding before it`);
    result[field.name] = offset;
    offset += SIZES[field.type] * field.count;
  }
  return result as Record<FieldName, number>;
}
