/** From the name of a file to a program ready to run: the first half of execve(2), which changes nothing. */
import { randomFillSync } from "node:crypto";
import { type ByteString, fromText } from "../abi/bytes.ts";
import {
  E2BIG,
  EACCES,
  EINVAL,
  EIO,
  ELIBBAD,
  ELOOP,
  ENOEXEC,
  ENOMEM,
  Errno,
} from "../abi/errno.ts";
import { S_ISGID, S_ISUID } from "../abi/file.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import type { Inode } from "../vfs/inode.ts";
import type { Path } from "../vfs/mount.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { afterExec, type TaskCredentials } from "./capabilities.ts";
import {
  EHDR_SIZE,
  type ElfHeader,
  type ElfSegments,
  PAGE,
  PHDR_SIZE,
  pageDown,
  pageUp,
  parseHeader,
  parseSegments,
} from "./elf.ts";
import { ImageBuilder, type ImageSource } from "./image-builder.ts";
import * as at from "./initial-stack.ts";
import type { HostAuxv, ProgramImage } from "./machine.ts";
import type { Program } from "./process.ts";
import { isScript, parseScriptLine, SCRIPT_LINE_MAX } from "./script.ts";

/** How often a script's interpreter may be a script. */
const SCRIPT_DEPTH_MAX = 5;
/** The longest argument or environment string with its NUL: MAX_ARG_STRLEN. */
export const ARG_STRLEN_MAX = 32 * PAGE;
/** What arguments and environment may take at the least, whatever RLIMIT_STACK says. */
const ARGUMENTS_MIN = 32 * PAGE;
/** And at the most. */
export const ARGUMENTS_MAX: number = 6 << 20;
/** A stack without a limit gets this much. */
const STACK_MAX = 1 << 30;

const PIE_START = 0x5500_0000_0000;
const PIE_END = 0x5600_0000_0000;
const INTERPRETER_START = 0x7d80_0000_0000;
const STACK_END = 0x7d00_0000_0000;
/** How far interpreter and stack move at random. */
const PLACE_SPREAD = 0x4_0000_0000;
/** How far the break moves at random: arch_randomize_brk. */
const BRK_SPREAD = 32 << 20;
const ADDR_NO_RANDOMIZE = 0x004_0000;

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;

/** A program file, open for reading. */
export interface Executable {
  readonly file: OpenFile;
  readonly path: Path;
  readonly inode: Inode;
}

/** What is to be executed. */
export interface ExecRequest {
  /** The name as the caller gave it: AT_EXECFN, and where the task's name comes from. */
  readonly name: ByteString;
  readonly argv: readonly ByteString[];
  readonly envp: readonly ByteString[];
  /** Opens the file itself. @returns open(2)'s errors, `EACCES` for what is not executable. */
  readonly open: () => Executable | Errno;
  /** Opens an interpreter by the name found in a file. */
  readonly openInterpreter: (name: ByteString) => Executable | Errno;
  readonly credentials: TaskCredentials;
  /** PR_SET_NO_NEW_PRIVS: setuid bits do not count. */
  readonly noNewPrivileges: boolean;
  readonly personality: number;
  /** RLIMIT_STACK in bytes; may be infinite. */
  readonly stackLimit: number;
  readonly auxv: HostAuxv;
}

/** A program, and what its process becomes with it. */
export interface LoadedProgram {
  readonly image: ProgramImage;
  readonly program: Program;
  readonly credentials: TaskCredentials;
  /** AT_SECURE. */
  readonly secure: boolean;
}

/** A file, its parsed headers, and how to get at its bytes. */
interface Parsed {
  readonly executable: Executable;
  readonly header: ElfHeader;
  readonly elf: ElfSegments;
  readonly source: ImageSource;
}

/**
 * Loads what execve(2) would.
 * @returns `ENOEXEC`, `ELIBBAD`, `ELOOP`, `E2BIG`, `ENOMEM`, or an error of opening or reading a file.
 */
export function loadProgram(request: ExecRequest): LoadedProgram | Errno {
  const opened: OpenFile[] = [];
  const result = load(request, opened);
  if (result instanceof Errno) for (const file of opened) file.close();
  return result;
}

function load(request: ExecRequest, opened: OpenFile[]): LoadedProgram | Errno {
  const found = followScripts(request, opened);
  if (found instanceof Errno) return found;
  const { executable, argv } = found;
  const tooBig = checkArguments(argv, request);
  if (tooBig !== undefined) return tooBig;

  const main = parse(executable, ENOEXEC);
  if (main instanceof Errno) return main;
  if (main.header.isa !== request.auxv.isa) return ENOEXEC;
  const linker = parseInterpreter(main, request, opened);
  if (linker instanceof Errno) return linker;
  return build({ ...request, argv }, main, linker, opened);
}

/** Replaces scripts by their interpreters. */
function followScripts(
  request: ExecRequest,
  opened: OpenFile[],
): { readonly executable: Executable; readonly argv: readonly ByteString[] } | Errno {
  // An empty argv has confused too many programs: Linux makes it one empty string.
  let argv = request.argv.length === 0 ? [""] : request.argv;
  let name = request.name;
  let executable = request.open();
  for (let depth = 0; ; depth++) {
    if (executable instanceof Errno) return executable;
    opened.push(executable.file);
    const head = readUpTo(executable.file, 0, SCRIPT_LINE_MAX);
    if (head instanceof Errno) return head;
    if (!isScript(head)) return { executable, argv };
    if (depth === SCRIPT_DEPTH_MAX) return ELOOP;
    const line = parseScriptLine(head);
    if (line instanceof Errno) return line;
    const { interpreter, argument } = line;
    argv = [interpreter, ...(argument === undefined ? [] : [argument]), name, ...argv.slice(1)];
    name = interpreter;
    executable = request.openInterpreter(interpreter);
  }
}

function checkArguments(argv: readonly ByteString[], request: ExecRequest): Errno | undefined {
  let total = request.name.length + 1;
  for (const string of [...argv, ...request.envp]) {
    if (string.length >= ARG_STRLEN_MAX) return E2BIG;
    total += string.length + 1 + 8;
  }
  const quarter = Math.floor(request.stackLimit / 4);
  return total > Math.max(ARGUMENTS_MIN, Math.min(quarter, ARGUMENTS_MAX)) ? E2BIG : undefined;
}

function parseInterpreter(
  main: Parsed,
  request: ExecRequest,
  opened: OpenFile[],
): Parsed | undefined | Errno {
  const { interpreter } = main.elf;
  if (interpreter === undefined) return undefined;
  const raw = main.source.read(interpreter.offset, interpreter.length);
  if (raw instanceof Errno) return raw;
  if (raw[raw.length - 1] !== 0) return ENOEXEC;
  const name = Buffer.from(raw.subarray(0, raw.indexOf(0))).toString("latin1");
  const executable = request.openInterpreter(name);
  if (executable instanceof Errno) return executable;
  opened.push(executable.file);
  const linker = parse(executable, ELIBBAD);
  if (linker instanceof Errno) return linker;
  return linker.header.isa === main.header.isa ? linker : ELIBBAD;
}

/** @param malformed the error for a file that is not what it should be. */
function parse(executable: Executable, malformed: Errno): Parsed | Errno {
  const { file } = executable;
  const stat = file.stat();
  if (stat instanceof Errno) return stat;
  const head = readUpTo(file, 0, EHDR_SIZE);
  if (head instanceof Errno) return head;
  const header = parseHeader(head);
  if (header instanceof Errno) return malformed;
  const table = readExactly(file, header.phoff, header.phnum * PHDR_SIZE);
  if (table instanceof Errno) return malformed;
  const elf = parseSegments(header, table, stat.size);
  if (elf instanceof Errno) return malformed;
  const backing = file.backing();
  const source: ImageSource = {
    backing: backing instanceof Errno ? undefined : backing,
    shown: { name: file.name, dev: stat.dev, ino: stat.ino },
    read: (offset, length) => readExactly(file, offset, length),
  };
  return { executable, header, elf, source };
}

function build(
  request: ExecRequest,
  main: Parsed,
  linker: Parsed | undefined,
  opened: readonly OpenFile[],
): LoadedProgram | Errno {
  const random = randomness((request.personality & ADDR_NO_RANDOMIZE) === 0);
  const builder = new ImageBuilder();
  const bias = main.header.relocatable ? placePie(main.elf, random) : 0;
  if (bias instanceof Errno) return bias;
  const linkerBias =
    linker === undefined
      ? 0
      : biasFor(linker, INTERPRETER_START + random(PLACE_SPREAD / PAGE) * PAGE);

  const stackLength = pageUp(Math.min(Math.max(request.stackLimit, 2 * ARGUMENTS_MIN), STACK_MAX));
  const stackTop = STACK_END - random(PLACE_SPREAD / PAGE) * PAGE;
  builder.map({
    addr: stackTop - stackLength,
    length: stackLength,
    prot: PROT_READ | PROT_WRITE | (main.elf.executableStack ? PROT_EXEC : 0),
    stack: true,
  });
  const error =
    builder.load(main.elf, bias, main.source) ??
    (linker && builder.load(linker.elf, linkerBias, linker.source));
  if (error !== undefined) return error;

  const { credentials, secure } = afterExec(request.credentials, privileges(main, request));
  const entry = main.header.entry + bias;
  const vdso = request.auxv.vdso(!main.header.relocatable);
  const stack = at.initialStack(stackTop - random(PAGE / 16) * 16, {
    argv: request.argv,
    envp: request.envp,
    execfn: request.name,
    platform: fromText(request.auxv.platform),
    random: randomFillSync(new Uint8Array(16)),
    auxv: [
      ...(vdso === 0 ? [] : [[at.AT_SYSINFO_EHDR, vdso] as const]),
      [at.AT_MINSIGSTKSZ, request.auxv.minsigstksz],
      [at.AT_HWCAP, request.auxv.hwcap],
      [at.AT_PAGESZ, request.auxv.pageSize],
      [at.AT_CLKTCK, request.auxv.clockTick],
      [at.AT_PHDR, main.elf.phdrs === 0 ? 0 : main.elf.phdrs + bias],
      [at.AT_PHENT, PHDR_SIZE],
      [at.AT_PHNUM, main.header.phnum],
      [at.AT_BASE, linker === undefined ? 0 : linkerBias],
      [at.AT_FLAGS, 0],
      [at.AT_ENTRY, entry],
      [at.AT_UID, credentials.ruid],
      [at.AT_EUID, credentials.euid],
      [at.AT_GID, credentials.rgid],
      [at.AT_EGID, credentials.egid],
      [at.AT_SECURE, secure ? 1 : 0],
      [at.AT_HWCAP2, request.auxv.hwcap2],
    ],
  });
  builder.store(stack.stackPointer, stack.bytes);

  // The last files opened are the program itself and its interpreter; before them come scripts.
  const kept = opened.slice(linker === undefined ? -1 : -2);
  for (const script of opened.slice(0, opened.length - kept.length)) script.close();
  const base = request.name.slice(request.name.lastIndexOf("/") + 1).slice(0, 15);
  return {
    image: {
      isa: main.header.isa,
      mappings: builder.mappings,
      contents: builder.contents,
      entry: linker === undefined ? entry : linker.header.entry + linkerBias,
      stackPointer: stack.stackPointer,
      brk: main.elf.end + bias + random(BRK_SPREAD / PAGE) * PAGE,
      name: base,
    },
    program: {
      isa: main.header.isa,
      files: kept,
      path: main.executable.path,
      argv: request.argv,
      envp: request.envp,
      auxv: stack.auxv,
    },
    credentials,
    secure,
  };
}

/** Where a relocatable program goes. @returns `ENOMEM` if it is too large. */
function placePie(elf: ElfSegments, random: (limit: number) => number): number | Errno {
  const room = PIE_END - PIE_START - (elf.end - elf.start) - 2 * elf.align - BRK_SPREAD;
  if (room < PAGE) return ENOMEM;
  const start = PIE_START + random(Math.floor(room / PAGE)) * PAGE;
  return alignUp(start, elf.align) - pageDown(elf.start);
}

function biasFor({ header, elf }: Parsed, place: number): number {
  return header.relocatable ? alignUp(place, elf.align) - elf.start : 0;
}

function alignUp(addr: number, align: number): number {
  return Math.ceil(addr / align) * align;
}

/** A source of whole numbers below a limit; always 0 when addresses are not to be random. */
function randomness(wanted: boolean): (limit: number) => number {
  if (!wanted) return () => 0;
  const word = new Uint32Array(2);
  return (limit) => {
    randomFillSync(word);
    const [high = 0, low = 0] = word;
    return Math.floor(((high * 2 ** 21 + (low >>> 11)) / 2 ** 53) * limit);
  };
}

function privileges(main: Parsed, request: ExecRequest) {
  const { inode, path } = main.executable;
  const honoured = !path.mount.noSuid && !request.noNewPrivileges;
  const { mode } = inode;
  // Without group execution, the bit means mandatory locking.
  const setgid = (mode & S_ISGID) !== 0 && (mode & 0o010) !== 0;
  return {
    setuid: honoured && (mode & S_ISUID) !== 0 ? inode.uid : undefined,
    setgid: honoured && setgid ? inode.gid : undefined,
  };
}

/** Up to `length` bytes at `offset`; fewer at the end of the file. */
function readUpTo(file: OpenFile, offset: number, length: number): Uint8Array | Errno {
  const buffer = HostBuffer.allocate(length);
  let done = 0;
  while (done < length) {
    const count = file.pread(buffer.from(done), offset + done);
    if (count instanceof Errno) return count === EINVAL ? EACCES : count;
    if (count === 0) break;
    done += count;
  }
  return buffer.view(done);
}

function readExactly(file: OpenFile, offset: number, length: number): Uint8Array | Errno {
  const bytes = readUpTo(file, offset, length);
  return bytes instanceof Errno || bytes.length === length ? bytes : EIO;
}
