import { ISAS, type Isa, NUMBERS, type SyscallName } from "../../sentry/abi/numbers.ts";
import { NOTIFY_CALL } from "../constants.ts";
import { type CallPattern, type Condition, type Profile, union } from "../model.ts";
import { Assembler, BPF, type Instruction, type Label, SECCOMP_DATA, SECCOMP_RET } from "./bpf.ts";

/** `AUDIT_ARCH_*` of `linux/audit.h`. */
export const AUDIT_ARCH: Readonly<Record<Isa, number>> = {
  x86_64: 0xc000003e,
  arm64: 0xc00000b7,
};

/** An address range of the executor: `start` inclusive, `end` exclusive. */
export interface AddressRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** A filter, and which of its instructions hold the stub's address as their operand. */
export interface ExecutorFilter {
  readonly program: readonly Instruction[];
  /** Indices; the launcher, which alone knows where its stub lies, sets the operands. */
  readonly stubOperands: { readonly high: number; readonly start: number; readonly end: number };
}

/**
 * The executor's main filter: an entry of another instruction set kills the process; a listed call
 * with listed arguments, made inside the runtime's stub page, is allowed; all else traps.
 *
 * The address test only *routes*: it makes the honest guest's own calls trap, whatever they are. It is
 * no boundary, because hostile code can jump to the stub's instruction with registers of its choice;
 * the boundary is the list of calls and arguments.
 * @param stub must not cross a multiple of 4 GiB; the last two bytes of the range hold no call.
 */
export function executorFilter(profile: Profile, isa: Isa, stub: AddressRange): ExecutorFilter {
  const assembler = new Assembler();
  const trap = assembler.label();
  checkArchitecture(assembler, isa);
  const stubOperands = checkStub(assembler, stub, trap);
  assembler.emit(BPF.LD_W_ABS, SECCOMP_DATA.nr);
  // The address tests go to the first trap in the program: a conditional jump reaches 255 instructions.
  let shared: Label | undefined = trap;
  for (const [call, patterns] of patternsByCall(profile)) {
    const next = assembler.label();
    assembler.test(BPF.JEQ_K, numberOf(call, isa), { no: next }, call);
    emitPatterns(assembler, patterns);
    if (patterns.every((pattern) => pattern.when.length > 0)) {
      if (shared !== undefined) assembler.place(shared);
      shared = undefined;
      assembler.emit(BPF.RET_K, SECCOMP_RET.TRAP);
    }
    assembler.place(next);
  }
  if (shared !== undefined) assembler.place(shared);
  assembler.emit(BPF.RET_K, SECCOMP_RET.TRAP, "every other call");
  return { program: assembler.finish(), stubOperands };
}

/**
 * The launcher's filter: the designated call goes to the listener, all else is left to later filters.
 * Where both filters speak, TRAP wins over USER_NOTIF and USER_NOTIF over ALLOW.
 */
export function notifyFilter(isa: Isa): readonly Instruction[] {
  const assembler = new Assembler();
  const allow = assembler.label();
  assembler.emit(BPF.LD_W_ABS, SECCOMP_DATA.arch);
  assembler.test(BPF.JEQ_K, AUDIT_ARCH[isa], { no: allow }, isa);
  assembler.emit(BPF.LD_W_ABS, SECCOMP_DATA.nr);
  assembler.test(BPF.JEQ_K, numberOf(NOTIFY_CALL, isa), { no: allow }, NOTIFY_CALL);
  assembler.emit(BPF.RET_K, SECCOMP_RET.USER_NOTIF);
  assembler.place(allow);
  assembler.emit(BPF.RET_K, SECCOMP_RET.ALLOW);
  return assembler.finish();
}

/** The call patterns of a profile, grouped by call, in the order of the rules. */
export function patternsByCall(profile: Profile): ReadonlyMap<SyscallName, readonly CallPattern[]> {
  const grouped = new Map<SyscallName, CallPattern[]>();
  for (const pattern of profile.rules.flatMap((rule) => rule.calls ?? [])) {
    const patterns = grouped.get(pattern.call);
    if (patterns === undefined) grouped.set(pattern.call, [pattern]);
    else patterns.push(pattern);
  }
  return grouped;
}

/** The number of a call. @throws Error when the instruction set does not have it. */
export function numberOf(call: SyscallName, isa: Isa): number {
  const number: number = NUMBERS[call][ISAS.indexOf(isa) === 0 ? 0 : 1];
  if (number < 0) throw new Error(`${isa} has no call ${call}`);
  return number;
}

function checkArchitecture(assembler: Assembler, isa: Isa): void {
  const native = assembler.label();
  assembler.emit(BPF.LD_W_ABS, SECCOMP_DATA.arch);
  assembler.test(BPF.JEQ_K, AUDIT_ARCH[isa], { yes: native }, isa);
  assembler.emit(BPF.RET_K, SECCOMP_RET.KILL_PROCESS, "entered by another instruction set");
  assembler.place(native);
}

function checkStub(
  assembler: Assembler,
  stub: AddressRange,
  outside: Label,
): ExecutorFilter["stubOperands"] {
  if (stub.start <= 0n || stub.end <= stub.start || stub.end >= 1n << 63n) {
    throw new RangeError("The stub range is empty or not in user space");
  }
  const high = stub.start >> 32n;
  if (stub.end >> 32n !== high) throw new RangeError("The stub range crosses a multiple of 4 GiB");
  const low = (address: bigint): number => Number(BigInt.asUintN(32, address));
  assembler.emit(BPF.LD_W_ABS, SECCOMP_DATA.ipHigh);
  const at = assembler.position;
  assembler.test(BPF.JEQ_K, Number(high), { no: outside }, "made inside the stub page?");
  assembler.emit(BPF.LD_W_ABS, SECCOMP_DATA.ipLow);
  // The kernel reports the address after the instruction: `start` itself is a call made outside.
  assembler.test(BPF.JGT_K, low(stub.start), { no: outside });
  assembler.test(BPF.JGE_K, low(stub.end), { yes: outside });
  return { high: at, start: at + 2, end: at + 3 };
}

/** Allows the call when one pattern holds; falls through to the next instruction when none does. */
function emitPatterns(assembler: Assembler, patterns: readonly CallPattern[]): void {
  for (const pattern of patterns) {
    const otherwise = assembler.label();
    for (const condition of pattern.when) emitCondition(assembler, condition, otherwise);
    assembler.emit(BPF.RET_K, SECCOMP_RET.ALLOW);
    assembler.place(otherwise);
    // A pattern without conditions always holds; what follows it could never run.
    if (pattern.when.length === 0) return;
  }
}

function emitCondition(assembler: Assembler, condition: Condition, fails: Label): void {
  const { argument } = condition;
  const offset = SECCOMP_DATA.argument(argument.index);
  if (argument.width === "long") {
    assembler.emit(BPF.LD_W_ABS, offset + 4);
    assembler.test(BPF.JEQ_K, 0, { no: fails }, `${argument.name}: upper half`);
  }
  assembler.emit(BPF.LD_W_ABS, offset);
  const note = describe(condition);
  switch (condition.kind) {
    case "one-of":
      emitOneOf(assembler, condition, fails, note);
      return;
    case "only":
      assembler.test(BPF.JSET_K, ~union(condition.bits), { yes: fails }, note);
      return;
    case "has": {
      const bits = union(condition.bits);
      assembler.emit(BPF.AND_K, bits);
      assembler.test(BPF.JEQ_K, bits, { no: fails }, note);
      return;
    }
    case "between":
      assembler.test(BPF.JGE_K, condition.first, { no: fails }, note);
      assembler.test(BPF.JGT_K, condition.last, { yes: fails });
      return;
  }
}

function emitOneOf(
  assembler: Assembler,
  condition: Condition & { kind: "one-of" },
  fails: Label,
  note: string,
): void {
  if (condition.ignore.length > 0) assembler.emit(BPF.AND_K, ~union(condition.ignore));
  const matched = assembler.label();
  condition.values.forEach((value, at) => {
    const last = at === condition.values.length - 1;
    const targets = last ? { no: fails } : { yes: matched };
    assembler.test(BPF.JEQ_K, value.value, targets, at === 0 ? note : "");
  });
  assembler.place(matched);
}

/** A condition in words, as the listing and the documents show it. */
export function describe(condition: Condition): string {
  const { name } = condition.argument;
  const names = (list: readonly { readonly name: string }[], glue: string): string =>
    list.map((item) => item.name).join(glue);
  switch (condition.kind) {
    case "one-of": {
      const ignored =
        condition.ignore.length > 0 ? `${name} without ${names(condition.ignore, "|")}` : name;
      const values = names(condition.values, ", ");
      return condition.values.length === 1
        ? `${ignored} is ${values}`
        : `${ignored} in {${values}}`;
    }
    case "only":
      return `${name} has no bit but ${names(condition.bits, "|")}`;
    case "has":
      return `${name} has ${names(condition.bits, "|")}`;
    case "between":
      return `${condition.first} <= ${name} <= ${condition.last}`;
  }
}
