import type { Isa } from "../abi/numbers.ts";

/** The instruction set of this machine: what it runs in place. Other programs are translated. */
export const HOST_ISA: Isa = process.arch === "arm64" ? "arm64" : "x86_64";
