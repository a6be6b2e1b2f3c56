import { createRequire } from "node:module";

/** A register of a host call: a value, the bytes a pointer argument points at, or a null pointer. */
export type Register = number | bigint | Uint8Array | BigUint64Array | Int32Array | null;

/** What the addon exports; see the `.cc` file named beside each member. */
export interface Native {
  /** One raw host system call; the result, or the negative host errno. `ring/host_call.cc` */
  syscall(number: number, ...registers: Register[]): number;
  /** The address of an array's first byte. `ring/host_call.cc` */
  addressOf(array: Uint8Array): number;
}

/** The project's only native addon. This is the only place that loads it. */
export const native: Native = createRequire(import.meta.url)(
  "../../Release/dd_ring.node",
) as Native;
