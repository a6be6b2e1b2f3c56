import { execFileSync } from "node:child_process";
import { join } from "node:path";
import test from "ava";
import { TREE } from "../fixtures/images.ts";

const LIBRARY = join(TREE, "build/guest/libdd_native.a");
const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { encoding: "latin1", maxBuffer: 64 << 20 });

interface Instruction {
  readonly object: string;
  readonly section: string;
  /** The nearest label before it. */
  readonly label: string;
  /** What stands in assembly, operands included. */
  readonly text: string;
}

/** Every instruction of the runtime, in order. */
function instructions(): Instruction[] {
  const list: Instruction[] = [];
  let object = "";
  let section = "";
  let label = "";
  for (const line of run("objdump", "-d", "--no-show-raw-insn", LIBRARY).split("\n")) {
    object = /^(\S+): +file format/.exec(line)?.[1] ?? object;
    section = /^Disassembly of section (\S+):/.exec(line)?.[1] ?? section;
    label = /^[0-9a-f]+ <(.+)>:/.exec(line)?.[1] ?? label;
    const text = /^ +[0-9a-f]+:\t(.+)$/.exec(line)?.[1];
    if (text !== undefined) list.push({ object, section, label, text });
  }
  return list;
}

const all = instructions();

test("the runtime needs nothing but itself: no libc, no compiler's helper", (t) => {
  const names = (...options: string[]) =>
    new Set(
      run("nm", "--format=posix", ...options, LIBRARY)
        .split("\n")
        .filter((line) => /^\S+ [A-Za-z]/.test(line))
        .map((line) => line.split(" ")[0] as string),
    );
  const undefinedNames = names("--undefined-only");
  const own = names("--defined-only", "--extern-only");
  t.true(own.has("dd_host_call") && undefinedNames.has("dd_host_call"));
  t.deepEqual(
    [...undefinedNames].filter((name) => !own.has(name)),
    [],
  );
});

test("the runtime touches no vector, x87 or thread-local register, which are the guest's", (t) => {
  t.true(all.length > 1000);
  const foreign =
    /%(?:[xyz]mm\d|mm\d|st\b|k[0-7]\b|fs:)|\b(?:f?x(?:save|rstor)|emms|fn?init|v?ldmxcsr)/;
  t.deepEqual(
    all.filter(({ text }) => foreign.test(text)),
    [],
  );
});

test("every host call of the runtime lies in the stub, but for the one that is meant to trap", (t) => {
  const calls = all.filter(({ text }) => /^(?:syscall|sysenter|int\b)/.test(text));
  const outside = calls.filter(({ section }) => section !== ".dd_stub");
  t.true(calls.length > 3);
  t.deepEqual(
    outside.map(({ object, text }) => [object, text.trim()]),
    [["fast.S.o", "syscall"]],
  );
  // What follows it is where a trap is told from a guest's own.
  const at = all.indexOf(outside[0] as Instruction);
  t.is(all[at + 1]?.label, "dd_finish_trap");
});
