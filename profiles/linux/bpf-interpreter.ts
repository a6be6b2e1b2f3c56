import { BPF, type Instruction, SECCOMP_DATA } from "./bpf.ts";

/** What the kernel tells a seccomp filter about a call: `struct seccomp_data`. */
export interface CallData {
  readonly nr: number;
  readonly arch: number;
  /** The address after the instruction that made the call. */
  readonly instructionPointer: bigint;
  /** Up to six registers; absent ones are zero. */
  readonly args: readonly bigint[];
}

/**
 * Runs a filter on paper, as the kernel would: checks every access and every jump.
 * @returns the action, a value of `SECCOMP_RET`.
 * @throws Error on a program that the kernel would not accept.
 */
export function runFilter(program: readonly Instruction[], call: CallData): number {
  const data = encodeCall(call);
  let accumulator = 0;
  let at = 0;
  // Jumps go forward, so that each instruction runs at most once.
  for (;;) {
    const instruction = program[at];
    if (instruction === undefined) throw new Error(`The filter runs past its end at ${at}`);
    const { code, k } = instruction;
    at += 1;
    switch (code) {
      case BPF.LD_W_ABS:
        if (k % 4 !== 0 || k >= SECCOMP_DATA.lengthBytes) throw new Error(`Bad load of ${k}`);
        accumulator = data.getUint32(k, true);
        break;
      case BPF.AND_K:
        accumulator = (accumulator & k) >>> 0;
        break;
      case BPF.RET_K:
        return k;
      default:
        at += holds(code, accumulator, k) ? instruction.jt : instruction.jf;
    }
  }
}

function holds(code: number, accumulator: number, k: number): boolean {
  switch (code) {
    case BPF.JEQ_K:
      return accumulator === k;
    case BPF.JGT_K:
      return accumulator > k;
    case BPF.JGE_K:
      return accumulator >= k;
    case BPF.JSET_K:
      return (accumulator & k) !== 0;
    default:
      throw new Error(`Unknown BPF opcode ${code}`);
  }
}

function encodeCall(call: CallData): DataView {
  const view = new DataView(new ArrayBuffer(SECCOMP_DATA.lengthBytes));
  view.setInt32(SECCOMP_DATA.nr, call.nr, true);
  view.setUint32(SECCOMP_DATA.arch, call.arch, true);
  view.setBigUint64(SECCOMP_DATA.ipLow, BigInt.asUintN(64, call.instructionPointer), true);
  for (let index = 0; index < 6; index += 1) {
    const value = BigInt.asUintN(64, call.args[index] ?? 0n);
    view.setBigUint64(SECCOMP_DATA.argument(index), value, true);
  }
  return view;
}
