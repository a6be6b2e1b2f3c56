import test from "ava";
import fc from "fast-check";
import { listProgram, SECCOMP_RET } from "../../profiles/linux/bpf.ts";
import { type CallData, runFilter } from "../../profiles/linux/bpf-interpreter.ts";
import {
  AUDIT_ARCH,
  executorFilter,
  notifyFilter,
  numberOf,
  patternsByCall,
} from "../../profiles/linux/seccomp.ts";
import {
  type CallPattern,
  type Condition,
  type Profile,
  type Rule,
  union,
} from "../../profiles/model.ts";
import { executorProfile } from "../../profiles/profiles.ts";
import { NUMBERS, type SyscallName } from "../../sentry/abi/numbers.ts";
import { CALL_ROWS } from "./call-rows.ts";
import { matchesGolden } from "./golden.ts";

const STUB = { start: 0x7f12_3456_7000n, end: 0x7f12_3456_8000n };
const INSIDE = STUB.start + 0x57n;

const filterOf = (profile: Profile) => executorFilter(profile, "x86_64", STUB).program;
const filter = filterOf(executorProfile);

function callOf(name: SyscallName, args: readonly bigint[]): CallData {
  const arch = AUDIT_ARCH.x86_64;
  return { nr: numberOf(name, "x86_64"), arch, instructionPointer: INSIDE, args };
}

for (const isa of ["x86_64", "arm64"] as const) {
  test(`the executor's filter for ${isa} reads as reviewed`, (t) => {
    const { program } = executorFilter(executorProfile, isa, STUB);
    matchesGolden(t, `seccomp-executor-${isa}.txt`, listProgram(program));
    matchesGolden(t, `seccomp-notify-${isa}.txt`, listProgram(notifyFilter(isa)));
  });
}

for (const { call, args, allowed } of CALL_ROWS) {
  const text = args.map((arg) => `0x${BigInt.asUintN(64, arg).toString(16)}`).join(", ");
  test(`${call}(${text}) is ${allowed ? "allowed" : "trapped"}`, (t) => {
    t.is(runFilter(filter, callOf(call, args)), allowed ? SECCOMP_RET.ALLOW : SECCOMP_RET.TRAP);
  });
}

test("a call that no rule names traps, whatever its arguments", (t) => {
  const allowed = new Set(patternsByCall(executorProfile).keys());
  let trapped = 0;
  for (const name of Object.keys(NUMBERS) as SyscallName[]) {
    if (allowed.has(name) || NUMBERS[name][0] < 0) continue;
    t.is(runFilter(filter, callOf(name, [])), SECCOMP_RET.TRAP, name);
    t.is(runFilter(filter, callOf(name, [-1n, -1n, -1n, -1n, -1n, -1n])), SECCOMP_RET.TRAP, name);
    trapped += 1;
  }
  t.true(trapped > 300);
});

test("an allowed call made outside the stub page traps", (t) => {
  for (const instructionPointer of [
    0x401000n,
    STUB.start,
    STUB.end,
    STUB.end + 2n,
    INSIDE + (1n << 32n),
    INSIDE - (1n << 32n),
  ]) {
    const call = { ...callOf("sched_yield", []), instructionPointer };
    t.is(runFilter(filter, call), SECCOMP_RET.TRAP, instructionPointer.toString(16));
  }
  t.is(runFilter(filter, callOf("sched_yield", [])), SECCOMP_RET.ALLOW);
});

test("another instruction set's entry kills the process, wherever it is made", (t) => {
  for (const arch of [0x40000003, AUDIT_ARCH.arm64, 0]) {
    t.is(runFilter(filter, { ...callOf("exit", []), arch }), SECCOMP_RET.KILL_PROCESS);
  }
});

test("the x32 numbers of allowed calls trap", (t) => {
  for (const name of patternsByCall(executorProfile).keys()) {
    const call = callOf(name, []);
    t.is(runFilter(filter, { ...call, nr: call.nr | 0x40000000 }), SECCOMP_RET.TRAP, name);
  }
});

test("the notify filter speaks of the designated call only", (t) => {
  const notify = notifyFilter("x86_64");
  t.is(runFilter(notify, callOf("nfsservctl", [])), SECCOMP_RET.USER_NOTIF);
  t.is(runFilter(notify, callOf("openat", [])), SECCOMP_RET.ALLOW);
  const foreign = { ...callOf("nfsservctl", []), arch: AUDIT_ARCH.arm64 };
  t.is(runFilter(notify, foreign), SECCOMP_RET.ALLOW);
});

test("a stub range that the filter cannot express is refused", (t) => {
  const bad = [
    { start: 0n, end: 0x1000n },
    { start: 0x2000n, end: 0x1000n },
    { start: 0xffff_f000n, end: 0x1_0000_0000n },
    { start: 1n << 63n, end: (1n << 63n) + 0x1000n },
  ];
  for (const stub of bad) {
    t.throws(() => executorFilter(executorProfile, "x86_64", stub), { instanceOf: RangeError });
  }
});

/** The model's own meaning, without BPF. */
function holds(condition: Condition, args: readonly bigint[]): boolean {
  const { index, width } = condition.argument;
  const register = BigInt.asUintN(64, args[index] ?? 0n);
  if (width === "long" && register >> 32n !== 0n) return false;
  const value = Number(BigInt.asUintN(32, register));
  switch (condition.kind) {
    case "one-of": {
      const kept = (value & ~union(condition.ignore)) >>> 0;
      return condition.values.some((named) => named.value === kept);
    }
    case "only":
      return (value & ~union(condition.bits)) === 0;
    case "has":
      return (value & union(condition.bits)) >>> 0 === union(condition.bits);
    case "between":
      return value >= condition.first && value <= condition.last;
  }
}

const allows = (patterns: readonly CallPattern[], args: readonly bigint[]): boolean =>
  patterns.some((pattern) => pattern.when.every((condition) => holds(condition, args)));

/** Registers that come close to what the rules speak of. */
const register = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.integer({ min: 0, max: 130 }).map(BigInt),
  fc.constantFrom(-1n, 0xffffffffn, 0x3d0f00n, 0x11n, 0x8011n, 0xc111n, 0x22n, 0x21n, 0x12n, 0x89n),
  fc
    .tuple(fc.integer({ min: 0, max: 63 }), fc.constantFrom(0n, 0x22n, 0x3d0f00n, 0x11n, 3n))
    .map(([bit, base]) => base ^ (1n << BigInt(bit))),
);

test("the filter means what the rules say, for any registers", (t) => {
  const patterns = [...patternsByCall(executorProfile)];
  let allowed = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...patterns),
      fc.array(register, { minLength: 6, maxLength: 6 }),
      ([name, alternatives], args) => {
        const expected = allows(alternatives, args);
        if (expected) allowed += 1;
        return (runFilter(filter, callOf(name, args)) === SECCOMP_RET.ALLOW) === expected;
      },
    ),
    { numRuns: 20_000 },
  );
  t.true(allowed > 100);
});

/** How many rows of the table a changed profile answers differently. */
function flipped(rules: readonly Rule[]): number {
  const changed = filterOf({ ...executorProfile, rules });
  return CALL_ROWS.filter(({ call, args }) => {
    const data = callOf(call, args);
    return runFilter(changed, data) !== runFilter(filter, data);
  }).length;
}

test("removing any rule changes the answer to a row of the table", (t) => {
  const withCalls = executorProfile.rules.filter((rule) => rule.calls !== undefined);
  for (const rule of withCalls) {
    const rest = executorProfile.rules.filter((other) => other !== rule);
    t.true(flipped(rest) > 0, rule.name);
  }
});

test("removing any condition of any rule changes the answer to a row of the table", (t) => {
  let conditions = 0;
  for (const rule of executorProfile.rules) {
    for (const pattern of rule.calls ?? []) {
      for (const condition of pattern.when) {
        conditions += 1;
        const when = pattern.when.filter((other) => other !== condition);
        const calls = rule.calls?.map((other) =>
          other === pattern ? { ...pattern, when } : other,
        );
        const rules = executorProfile.rules.map((other) =>
          other === rule && calls !== undefined ? { ...rule, calls } : other,
        );
        t.true(flipped(rules) > 0, `${rule.name}: ${condition.kind} ${condition.argument.name}`);
      }
    }
  }
  t.true(conditions >= 12);
});

test("adding any other call changes the answer to a row of the table", (t) => {
  const known = new Set(patternsByCall(executorProfile).keys());
  for (const call of new Set(CALL_ROWS.map((row) => row.call))) {
    if (known.has(call)) continue;
    const rule: Rule = { name: "added", why: "", calls: [{ call, when: [] }] };
    t.true(flipped([...executorProfile.rules, rule]) > 0, call);
  }
});
