/**
 * Classic BPF as seccomp(2) uses it: an assembler with labels, the encoding as `struct sock_filter`
 * and a readable listing. Source: `linux/filter.h`, `linux/bpf_common.h`.
 */

/** One instruction: an operation with its operand, and for jumps how many instructions to skip. */
export interface Instruction {
  readonly code: number;
  /** Instructions skipped when the test holds. */
  readonly jt: number;
  /** Instructions skipped when it does not. */
  readonly jf: number;
  /** Constant operand, unsigned 32-bit. */
  readonly k: number;
  /** What the instruction is there for; no part of the encoding. */
  readonly note: string;
}

/** Opcodes that a filter of ours consists of. */
export const BPF = {
  LD_W_ABS: 0x20,
  JEQ_K: 0x15,
  JGT_K: 0x25,
  JGE_K: 0x35,
  JSET_K: 0x45,
  AND_K: 0x54,
  RET_K: 0x06,
} as const;

/** seccomp(2) filter return values. */
export const SECCOMP_RET = {
  KILL_PROCESS: 0x80000000,
  TRAP: 0x00030000,
  USER_NOTIF: 0x7fc00000,
  ALLOW: 0x7fff0000,
} as const;

/** Offsets in `struct seccomp_data`, little-endian. */
export const SECCOMP_DATA = {
  nr: 0,
  arch: 4,
  ipLow: 8,
  ipHigh: 12,
  /** Offset of the lower half of an argument; the upper half follows. */
  argument: (index: number): number => 16 + 8 * index,
  lengthBytes: 64,
} as const;

/** `BPF_MAXINSNS`: the kernel refuses longer programs. */
export const PROGRAM_LENGTH_MAX = 4096;
const JUMP_MAX = 255;

/** A place in a program that a jump can name before it is known. */
export interface Label {
  at: number | undefined;
}

interface Pending {
  readonly code: number;
  readonly k: number;
  readonly note: string;
  readonly yes: Label | undefined;
  readonly no: Label | undefined;
}

/** Collects instructions; jumps go forward only, as in the kernel. */
export class Assembler {
  readonly #pending: Pending[] = [];

  /** The index of the next instruction. */
  get position(): number {
    return this.#pending.length;
  }

  label(): Label {
    return { at: undefined };
  }

  /** Puts `label` before the next instruction. */
  place(label: Label): void {
    if (label.at !== undefined) throw new Error("A label can be placed once only");
    label.at = this.#pending.length;
  }

  emit(code: number, k: number, note = ""): void {
    this.#pending.push({ code, k: k >>> 0, note, yes: undefined, no: undefined });
  }

  /** A test: goes to `yes` or `no`; an absent label means the next instruction. */
  test(
    code: number,
    k: number,
    targets: { readonly yes?: Label; readonly no?: Label },
    note = "",
  ): void {
    this.#pending.push({ code, k: k >>> 0, note, yes: targets.yes, no: targets.no });
  }

  /** @throws Error when a jump is too far or a label was never placed. */
  finish(): readonly Instruction[] {
    if (this.#pending.length > PROGRAM_LENGTH_MAX) throw new Error("The filter is too long");
    return this.#pending.map(({ code, k, note, yes, no }, at) => ({
      code,
      jt: distance(at, yes),
      jf: distance(at, no),
      k,
      note,
    }));
  }
}

function distance(from: number, label: Label | undefined): number {
  if (label === undefined) return 0;
  if (label.at === undefined) throw new Error("A jump goes to a label that was never placed");
  const skipped = label.at - from - 1;
  if (skipped < 0 || skipped > JUMP_MAX) throw new Error(`A jump of ${skipped} is out of range`);
  return skipped;
}

/** The program as the kernel takes it: `struct sock_filter` {u16 code, u8 jt, u8 jf, u32 k}. */
export function encodeProgram(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, jt, jf, k }, at) => {
    view.setUint16(at * 8, code, true);
    view.setUint8(at * 8 + 2, jt);
    view.setUint8(at * 8 + 3, jf);
    view.setUint32(at * 8 + 4, k, true);
  });
  return bytes;
}

/** The program as text, one instruction a line, with absolute jump targets. */
export function listProgram(program: readonly Instruction[]): string {
  return program.map((instruction, at) => listInstruction(instruction, at)).join("");
}

const TESTS: Readonly<Record<number, string>> = {
  [BPF.JEQ_K]: "jeq",
  [BPF.JGT_K]: "jgt",
  [BPF.JGE_K]: "jge",
  [BPF.JSET_K]: "jset",
};

function listInstruction({ code, jt, jf, k, note }: Instruction, at: number): string {
  const text = `${number(at)}  ${operation(code, jt, jf, k, at)}`;
  return note === "" ? `${text}\n` : `${text.padEnd(44)}; ${note}\n`;
}

function operation(code: number, jt: number, jf: number, k: number, at: number): string {
  const test = TESTS[code];
  if (test !== undefined) {
    return `${test.padEnd(4)} #0x${k.toString(16)}, ${number(at + 1 + jt)}, ${number(at + 1 + jf)}`;
  }
  switch (code) {
    case BPF.LD_W_ABS:
      return `ld   [${k}] ${fieldName(k)}`;
    case BPF.AND_K:
      return `and  #0x${k.toString(16)}`;
    case BPF.RET_K:
      return `ret  ${returnName(k)}`;
    default:
      throw new Error(`No name for BPF opcode ${code}`);
  }
}

function number(at: number): string {
  return at.toString().padStart(3, "0");
}

function fieldName(offset: number): string {
  switch (offset) {
    case SECCOMP_DATA.nr:
      return "nr";
    case SECCOMP_DATA.arch:
      return "arch";
    case SECCOMP_DATA.ipLow:
      return "ip.low";
    case SECCOMP_DATA.ipHigh:
      return "ip.high";
    default:
      return `arg${Math.floor((offset - 16) / 8)}.${offset % 8 === 0 ? "low" : "high"}`;
  }
}

/** The name of a filter's return value. */
export function returnName(value: number): string {
  const found = Object.entries(SECCOMP_RET).find(([, number]) => number === value);
  return found?.[0] ?? `0x${value.toString(16)}`;
}
