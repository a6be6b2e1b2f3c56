import { encodeProgram, type Instruction } from "./bpf.ts";
import { type Confinement, resourceNumber } from "./confinement.ts";
import {
  CONFINEMENT_MAGIC,
  CONFINEMENT_OFFSETS,
  CONFINEMENT_SIZE,
  CONFINEMENT_VERSION,
  EXECUTOR_FILTER_MAX,
  LIMITS_MAX,
  NOTIFY_FILTER_MAX,
} from "./layout.ts";

/**
 * A confinement as the C++ side reads it (`struct Confinement`).
 * @returns `CONFINEMENT_SIZE` bytes, unused items zero.
 */
export function encodeConfinement(confinement: Confinement): Uint8Array {
  const bytes = new Uint8Array(CONFINEMENT_SIZE);
  const view = new DataView(bytes.buffer);
  const u32 = (name: keyof typeof CONFINEMENT_OFFSETS, value: number): void =>
    view.setUint32(CONFINEMENT_OFFSETS[name], value, true);
  const u64 = (name: keyof typeof CONFINEMENT_OFFSETS, value: bigint): void =>
    view.setBigUint64(CONFINEMENT_OFFSETS[name], value, true);
  const { landlock, limits, window } = confinement;
  const { program, stubOperands } = confinement.executorFilter;
  u32("magic", CONFINEMENT_MAGIC);
  u32("version", CONFINEMENT_VERSION);
  u32("size", CONFINEMENT_SIZE);
  u32("host_uid", confinement.hostUid);
  u32("host_gid", confinement.hostGid);
  u32("outer_namespaces", confinement.outerNamespaces);
  u32("inner_namespaces", confinement.innerNamespaces);
  u32("landlock_abi", landlock.abi);
  u64("landlock_filesystem", BigInt(landlock.handledFilesystem));
  u64("landlock_network", BigInt(landlock.handledNetwork));
  u64("landlock_scoped", BigInt(landlock.scoped));
  u32(
    "speculation",
    confinement.speculation.reduce((all, control) => all | (1 << control), 0),
  );
  u32("notify_call", confinement.notifyCall);
  u32("window_first", window.first);
  u32("window_last", window.last);
  u32("limit_count", atMost(LIMITS_MAX, limits.length));
  limits.forEach(({ resource, value }, at) => {
    const offset = CONFINEMENT_OFFSETS.limits + 16 * at;
    view.setUint32(offset, resourceNumber(resource), true);
    view.setBigUint64(offset + 8, BigInt(value), true);
  });
  const filter = (
    name: "notify_filter" | "executor_filter",
    program: readonly Instruction[],
    max: number,
  ): void => {
    u32(`${name}_length`, atMost(max, program.length));
    bytes.set(encodeProgram(program), CONFINEMENT_OFFSETS[name]);
  };
  filter("notify_filter", confinement.notifyFilter, NOTIFY_FILTER_MAX);
  filter("executor_filter", program, EXECUTOR_FILTER_MAX);
  u32("stub_high_at", stubOperands.high);
  u32("stub_start_at", stubOperands.start);
  u32("stub_end_at", stubOperands.end);
  return bytes;
}

function atMost(max: number, length: number): number {
  if (length > max) throw new RangeError(`A list of ${length} does not fit in ${max}`);
  return length;
}
