import { execFileSync } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import test from "ava";
import fc from "fast-check";
import { E2BIG, ELIBBAD, ELOOP, ENOENT, ENOEXEC, Errno } from "../../../sentry/abi/errno.ts";
import { initialCredentials } from "../../../sentry/kernel/capabilities.ts";
import {
  type ExecRequest,
  type LoadedProgram,
  loadProgram,
} from "../../../sentry/kernel/load-program.ts";
import type { HostAuxv, ProgramImage } from "../../../sentry/kernel/machine.ts";
import { type ProgramFile, programs } from "./host-program.ts";

const AUXV: HostAuxv & { vdso: () => number } = {
  isa: "x86_64",
  hwcap: 7n,
  hwcap2: 2n,
  minsigstksz: 3376,
  clockTick: 100,
  pageSize: 4096,
  platform: "x86_64",
  vdso: () => 0x7fff_1000_0000,
};
const LINKER = "/lib64/ld-linux-x86-64.so.2";
const SHELL = realpathSync("/bin/sh");

function request(
  files: Readonly<Record<string, ProgramFile>>,
  name: string,
  options: Partial<ExecRequest> = {},
): { readonly request: ExecRequest; readonly opened: ReturnType<typeof programs>["opened"] } {
  const { open, opened } = programs(files);
  return {
    opened,
    request: {
      name,
      argv: ["sh", "-c", "true"],
      envp: ["HOME=/root", "EMPTY="],
      open: () => open(name),
      openInterpreter: open,
      credentials: initialCredentials(1000, 1000, []),
      noNewPrivileges: false,
      personality: 0,
      stackLimit: 8 << 20,
      auxv: AUXV,
      ...options,
    },
  };
}

function loaded(result: LoadedProgram | Errno): LoadedProgram {
  if (result instanceof Errno) throw new Error(`Loading failed: ${result}`);
  return result;
}

/** What the image has at an address: file contents, then what is stored over them. */
function byteAt(image: ProgramImage, addr: number, file: Uint8Array): number | undefined {
  let byte: number | undefined;
  for (const mapping of image.mappings) {
    if (addr < mapping.addr || addr >= mapping.addr + mapping.length) continue;
    byte =
      mapping.file === undefined ? 0 : (file[mapping.file.offset + (addr - mapping.addr)] ?? 0);
  }
  for (const { addr: at, bytes } of image.contents) {
    if (addr >= at && addr < at + bytes.length) byte = bytes[addr - at];
  }
  return byte;
}

interface Load {
  readonly offset: number;
  readonly vaddr: number;
  readonly filesz: number;
  readonly memsz: number;
  readonly flags: string;
}

function readelf(path: string): { readonly entry: number; readonly loads: readonly Load[] } {
  const text = execFileSync("readelf", ["-lW", path], { encoding: "utf8" });
  const entry = Number(/Entry point (0x[0-9a-f]+)/.exec(text)?.[1]);
  const loads = [...text.matchAll(/^ +LOAD +(\S+) (\S+) (\S+) (\S+) (\S+) (.{3})/gm)].map(
    ([, offset, vaddr, , filesz, memsz, flags]) => ({
      offset: Number(offset),
      vaddr: Number(vaddr),
      filesz: Number(filesz),
      memsz: Number(memsz),
      flags: flags ?? "",
    }),
  );
  return { entry, loads };
}

const PROT = (flags: string) =>
  (flags.includes("R") ? 1 : 0) | (flags.includes("W") ? 2 : 0) | (flags.includes("E") ? 4 : 0);

for (const path of [SHELL, realpathSync("/usr/bin/env"), process.execPath, realpathSync(LINKER)]) {
  for (const mappable of [true, false]) {
    test(`${path}, ${mappable ? "mapped" : "copied"}: what readelf says is where it is in memory`, (t) => {
      const bytes = readFileSync(path);
      const linker = readFileSync(LINKER);
      const files = { [path]: { bytes, mappable }, [LINKER]: { bytes: linker, mappable } };
      const { image, program } = loaded(loadProgram(request(files, path).request));
      const { entry, loads } = readelf(path);
      const auxv = new BigUint64Array(program.auxv.slice().buffer);
      const value = (type: number) => {
        for (let i = 0; i < auxv.length; i += 2) if (auxv[i] === BigInt(type)) return auxv[i + 1];
        return undefined;
      };
      const bias = Number(value(9)) - entry;
      t.is(bias % 4096, 0);
      for (const { offset, vaddr, filesz, memsz, flags } of loads) {
        const at = bias + vaddr;
        const mapping = image.mappings.find((m) => m.addr <= at && at < m.addr + m.length);
        t.is(mapping?.prot, PROT(flags));
        const step = Math.max(1, Math.floor(filesz / 50));
        for (let i = 0; i < filesz; i += step)
          t.is(byteAt(image, at + i, bytes), bytes[offset + i]);
        if (!flags.includes("W")) continue;
        for (let i = filesz; i < memsz; i += Math.max(1, Math.floor((memsz - filesz) / 50))) {
          t.is(byteAt(image, at + i, bytes), 0, "zero after the file's bytes");
        }
      }
      const ends = loads.map(({ vaddr, memsz }) => bias + vaddr + memsz);
      t.true(image.brk >= Math.max(...ends));
    });
  }
}

test("mappings lie on pages, in order, and do not overlap", (t) => {
  const files = { sh: { bytes: readFileSync(SHELL) }, [LINKER]: { bytes: readFileSync(LINKER) } };
  const { image } = loaded(loadProgram(request(files, "sh").request));
  let end = 0;
  for (const { addr, length } of image.mappings) {
    t.true(addr >= end && addr % 4096 === 0 && length % 4096 === 0 && length > 0);
    end = addr + length;
  }
  t.true(image.mappings.some(({ stack }) => stack === true));
});

test("the stack has argc, argv, envp and the auxiliary vector as the psABI lays them down", (t) => {
  const files = { sh: { bytes: readFileSync(SHELL) }, [LINKER]: { bytes: readFileSync(LINKER) } };
  const { image } = loaded(loadProgram(request(files, "sh").request));
  t.is(image.stackPointer % 16, 0);
  const stack = image.contents.find(({ addr }) => addr === image.stackPointer);
  const bytes = Buffer.from(stack?.bytes ?? []);
  const word = (i: number) => Number(bytes.readBigUInt64LE(i * 8));
  const string = (addr: number) => {
    const at = addr - image.stackPointer;
    return bytes.toString("latin1", at, bytes.indexOf(0, at));
  };
  t.is(word(0), 3);
  t.deepEqual(
    [1, 2, 3].map((i) => string(word(i))),
    ["sh", "-c", "true"],
  );
  t.is(word(4), 0);
  t.deepEqual(
    [5, 6].map((i) => string(word(i))),
    ["HOME=/root", "EMPTY="],
  );
  t.is(word(7), 0);
  const auxv = new Map<number, number>();
  for (let i = 8; word(i) !== 0; i += 2) auxv.set(word(i), word(i + 1));
  t.is(auxv.get(6), 4096);
  t.is(auxv.get(11), 1000);
  t.is(auxv.get(23), 0);
  t.is(auxv.get(33), AUXV.vdso());
  t.is(string(auxv.get(31) ?? 0), "sh");
  t.is(string(auxv.get(15) ?? 0), "x86_64");
  t.is(auxv.get(4), 56);
  const phdr = image.mappings.find(({ addr, length }) => {
    const at = auxv.get(3) ?? 0;
    return at >= addr && at < addr + length;
  });
  t.truthy(phdr, "AT_PHDR is in a mapping");
});

test("a script runs its interpreter with one argument and its own name", (t) => {
  const files = {
    "/bin/sh": { bytes: readFileSync(SHELL) },
    [LINKER]: { bytes: readFileSync(LINKER) },
    "./run.sh": { bytes: Buffer.from("#! /bin/sh -e -u \necho hi\n") },
  };
  const { request: asked } = request(files, "./run.sh", { argv: ["ignored", "a", "b"] });
  const { program, image } = loaded(loadProgram(asked));
  t.deepEqual(program.argv, ["/bin/sh", "-e -u", "./run.sh", "a", "b"]);
  t.is(image.name, "run.sh");
});

test("scripts may nest five deep", (t) => {
  const files: Record<string, ProgramFile> = {
    s0: { bytes: readFileSync(SHELL) },
    [LINKER]: { bytes: readFileSync(LINKER) },
  };
  for (let i = 1; i <= 6; i++) files[`s${i}`] = { bytes: Buffer.from(`#!s${i - 1}\n`) };
  t.false(loadProgram(request(files, "s5").request) instanceof Errno);
  const { request: tooDeep, opened } = request(files, "s6");
  t.is(loadProgram(tooDeep), ELOOP);
  t.true(opened.every(({ closed }) => closed));
});

const refused: readonly [string, Uint8Array, Errno][] = [
  ["an empty file", Buffer.alloc(0), ENOEXEC],
  ["a text without #!", Buffer.from("echo hi\n"), ENOEXEC],
  ["#! without a name", Buffer.from("#!  \n"), ENOEXEC],
  ["a #! line that is cut off within the name", Buffer.from(`#!${"x".repeat(300)}`), ENOEXEC],
  ["a missing interpreter", Buffer.from("#!/nowhere\n"), ENOENT],
  ["an ELF header and nothing else", readFileSync(SHELL).subarray(0, 64), ENOEXEC],
  ["a 32-bit program", Buffer.from("\x7fELF\x01\x01\x01".padEnd(64, "\0"), "latin1"), ENOEXEC],
];
for (const [what, bytes, error] of refused) {
  test(`${what} is ${error.name}`, (t) => {
    t.is(loadProgram(request({ f: { bytes } }, "f").request), error);
  });
}

test("a damaged interpreter of a good program is ELIBBAD, a missing one ENOENT", (t) => {
  const sh = { bytes: readFileSync(SHELL) };
  t.is(loadProgram(request({ sh }, "sh").request), ENOENT);
  const bad = { bytes: Buffer.from("not a linker") };
  t.is(loadProgram(request({ sh, [LINKER]: bad }, "sh").request), ELIBBAD);
});

test("arguments beyond a quarter of the stack are E2BIG, as is one of 128 KiB", (t) => {
  const files = { sh: { bytes: readFileSync(SHELL) }, [LINKER]: { bytes: readFileSync(LINKER) } };
  const long = "x".repeat(131072);
  t.is(loadProgram(request(files, "sh", { argv: [long] }).request), E2BIG);
  const many = new Array<string>(20).fill("x".repeat(131000));
  t.is(loadProgram(request(files, "sh", { argv: many }).request), E2BIG);
  t.false(loadProgram(request(files, "sh", { argv: many.slice(0, 10) }).request) instanceof Errno);
});

test("a setuid program runs as its owner with AT_SECURE, unless mounted nosuid or told no_new_privs", (t) => {
  const linker = { bytes: readFileSync(LINKER) };
  const su: ProgramFile = { bytes: readFileSync(SHELL), mode: 0o104755 };
  const normal = loaded(loadProgram(request({ su, [LINKER]: linker }, "su").request));
  t.is(normal.credentials.euid, 0);
  t.is(normal.credentials.ruid, 1000);
  t.true(normal.secure);
  t.true(normal.credentials.capabilities !== 0n);
  const nosuid = { su: { ...su, noSuid: true }, [LINKER]: linker };
  t.is(loaded(loadProgram(request(nosuid, "su").request)).credentials.euid, 1000);
  const quiet = request({ su, [LINKER]: linker }, "su", { noNewPrivileges: true });
  t.is(loaded(loadProgram(quiet.request)).credentials.euid, 1000);
});

test("addresses are random, and fixed with ADDR_NO_RANDOMIZE", (t) => {
  const files = { sh: { bytes: readFileSync(SHELL) }, [LINKER]: { bytes: readFileSync(LINKER) } };
  const entry = (personality: number) =>
    loaded(loadProgram(request(files, "sh", { personality }).request)).image.entry;
  t.not(entry(0), entry(0));
  t.is(entry(0x40000), entry(0x40000));
});

test("whatever happens to its headers, a program is refused or has a sane image", (t) => {
  const original = readFileSync(SHELL);
  const headers = 64 + 56 * 13;
  const linker = { bytes: readFileSync(LINKER) };
  const change = fc.record({
    at: fc.integer({ min: 0, max: headers - 1 }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  });
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (changes, mappable) => {
        const bytes = Buffer.from(original);
        for (const { at, bytes: patch } of changes) bytes.set(patch.subarray(0, headers - at), at);
        const asked = request({ f: { bytes, mappable }, [LINKER]: linker }, "f");
        const result = loadProgram(asked.request);
        if (result instanceof Errno) return asked.opened.every(({ closed }) => closed);
        let end = 0;
        for (const { addr, length, file } of result.image.mappings) {
          if (addr < end || length <= 0 || addr % 4096 !== 0 || length % 4096 !== 0) return false;
          if (addr + length > 0x7fff_ffff_f000) return false;
          if (file !== undefined && (file.offset < 0 || file.offset % 4096 !== 0)) return false;
          // The file used may be the program or its linker; neither is read beyond its last page.
          if (file !== undefined && file.offset + length > original.length + (1 << 20))
            return false;
          end = addr + length;
        }
        return result.image.contents.every(({ addr, bytes: stored }) =>
          result.image.mappings.some(
            (m) => addr >= m.addr && addr + stored.length <= m.addr + m.length,
          ),
        );
      },
    ),
    { numRuns: 400 },
  );
  t.pass();
});
