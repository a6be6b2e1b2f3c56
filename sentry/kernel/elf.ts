/**
 * Understanding ELF64 files: elf(5) and the psABI. The bytes are the guest's: every number is checked
 * before it is used, and whatever is not a program we can run is `ENOEXEC`.
 */
import { ENOEXEC, Errno } from "../abi/errno.ts";
import type { Isa } from "../abi/numbers.ts";
import { bytes, struct, u16, u32, u64 } from "../abi/struct.ts";

export const PAGE = 4096;
/** The end of what a 47-bit address space leaves to programs: TASK_SIZE of x86-64. */
export const TASK_SIZE = 0x7fff_ffff_f000;
/** Program headers may take this much, as in Linux. */
const PROGRAM_HEADERS_MAX = 65536;

const Ehdr = struct({
  ident: bytes(16),
  type: u16,
  machine: u16,
  version: u32,
  entry: u64,
  phoff: u64,
  shoff: u64,
  flags: u32,
  ehsize: u16,
  phentsize: u16,
  phnum: u16,
  shentsize: u16,
  shnum: u16,
  shstrndx: u16,
});
const Phdr = struct({
  type: u32,
  flags: u32,
  offset: u64,
  vaddr: u64,
  paddr: u64,
  filesz: u64,
  memsz: u64,
  align: u64,
});

/** Size of the file header. */
export const EHDR_SIZE: number = Ehdr.size;
/** Size of one program header: AT_PHENT. */
export const PHDR_SIZE: number = Phdr.size;

const ET_EXEC = 2;
const ET_DYN = 3;
const PT_LOAD = 1;
const PT_INTERP = 3;
const PT_GNU_STACK = 0x6474_e551;
const PF_X = 1;
const PF_W = 2;
const PF_R = 4;
const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;

const MACHINES: ReadonlyMap<number, Isa> = new Map([
  [62, "x86_64"],
  [183, "arm64"],
]);

/** A PT_LOAD header: `filesz` bytes from `offset` on appear at `vaddr`, followed by zeroes up to `memsz`. */
export interface Segment {
  readonly offset: number;
  readonly vaddr: number;
  readonly filesz: number;
  readonly memsz: number;
  /** PROT_* bits. */
  readonly prot: number;
}

/** What the header of a program file says. */
export interface ElfHeader {
  readonly isa: Isa;
  /** Loaded at an address of our choice: ET_DYN. */
  readonly relocatable: boolean;
  readonly entry: number;
  readonly phoff: number;
  readonly phnum: number;
}

/** What the program headers say. Addresses are relative to the load bias of a relocatable file. */
export interface ElfSegments {
  /** At least one, in the order of the file. */
  readonly segments: readonly Segment[];
  /** Where the name of the interpreter lies in the file, NUL included. */
  readonly interpreter: { readonly offset: number; readonly length: number } | undefined;
  readonly executableStack: boolean;
  /** The lowest page and the end of the highest page that the program occupies. */
  readonly start: number;
  readonly end: number;
  /** What the load bias must be a multiple of. */
  readonly align: number;
  /** Address of the program headers in memory; 0 if no segment holds them. */
  readonly phdrs: number;
}

/** Whether a file begins as an ELF file does. */
export function isElf(head: Uint8Array): boolean {
  return head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46;
}

/** @param head at least the first 64 bytes of the file. @returns `ENOEXEC`. */
export function parseHeader(head: Uint8Array): ElfHeader | Errno {
  if (head.length < EHDR_SIZE || !isElf(head)) return ENOEXEC;
  const header = Ehdr.parse(head);
  const isa = MACHINES.get(header.machine);
  const [, , , , elfClass, encoding] = header.ident;
  if (isa === undefined || elfClass !== 2 || encoding !== 1) return ENOEXEC;
  if (header.type !== ET_EXEC && header.type !== ET_DYN) return ENOEXEC;
  const size = header.phnum * PHDR_SIZE;
  if (header.phentsize !== PHDR_SIZE || size === 0 || size > PROGRAM_HEADERS_MAX) return ENOEXEC;
  if (!Number.isSafeInteger(header.phoff + size) || header.entry >= TASK_SIZE) return ENOEXEC;
  return {
    isa,
    relocatable: header.type === ET_DYN,
    entry: header.entry,
    phoff: header.phoff,
    phnum: header.phnum,
  };
}

/**
 * @param table the bytes of the program headers, `phnum * PHDR_SIZE`.
 * @param fileSize segments must lie within the file.
 * @returns `ENOEXEC`.
 */
export function parseSegments(
  header: ElfHeader,
  table: Uint8Array,
  fileSize: number,
): ElfSegments | Errno {
  const segments: Segment[] = [];
  let interpreter: ElfSegments["interpreter"];
  let executableStack = false;
  let align = PAGE;
  for (let i = 0; i < header.phnum; i++) {
    const phdr = Phdr.parse(table.subarray(i * PHDR_SIZE, (i + 1) * PHDR_SIZE));
    if (phdr.type === PT_GNU_STACK) executableStack = (phdr.flags & PF_X) !== 0;
    if (phdr.type === PT_INTERP && interpreter === undefined) {
      if (phdr.filesz < 2 || phdr.filesz > PAGE) return ENOEXEC;
      if (phdr.offset + phdr.filesz > fileSize) return ENOEXEC;
      interpreter = { offset: phdr.offset, length: phdr.filesz };
    }
    if (phdr.type !== PT_LOAD || phdr.memsz === 0) continue;
    const segment = checkSegment(phdr, fileSize);
    if (segment instanceof Errno) return segment;
    segments.push(segment);
    if (isPowerOfTwo(phdr.align) && phdr.align > align) align = Math.min(phdr.align, 1 << 30);
  }
  if (segments.length === 0) return ENOEXEC;
  const start = Math.min(...segments.map(({ vaddr }) => pageDown(vaddr)));
  const end = Math.max(...segments.map(({ vaddr, memsz }) => pageUp(vaddr + memsz)));
  if (end > TASK_SIZE) return ENOEXEC;
  return {
    segments,
    interpreter,
    executableStack,
    start,
    end,
    align,
    phdrs: addressOfHeaders(header, segments),
  };
}

function checkSegment(
  phdr: {
    readonly flags: number;
    readonly offset: number;
    readonly vaddr: number;
    readonly filesz: number;
    readonly memsz: number;
  },
  fileSize: number,
): Segment | Errno {
  const { offset, vaddr, filesz, memsz, flags } = phdr;
  if (filesz > memsz || memsz > TASK_SIZE || vaddr > TASK_SIZE - memsz) return ENOEXEC;
  if (filesz > 0 && (offset > fileSize || filesz > fileSize - offset)) return ENOEXEC;
  const prot =
    (flags & PF_R ? PROT_READ : 0) |
    (flags & PF_W ? PROT_WRITE : 0) |
    (flags & PF_X ? PROT_EXEC : 0);
  return { offset, vaddr, filesz, memsz, prot };
}

function addressOfHeaders(header: ElfHeader, segments: readonly Segment[]): number {
  const { phoff } = header;
  for (const { offset, vaddr, filesz } of segments) {
    if (phoff >= offset && phoff < offset + filesz) return vaddr + (phoff - offset);
  }
  return 0;
}

function isPowerOfTwo(n: number): boolean {
  return n > 0 && Number.isSafeInteger(n) && Number.isInteger(Math.log2(n));
}

export function pageDown(addr: number): number {
  return addr - (addr % PAGE);
}

export function pageUp(addr: number): number {
  return pageDown(addr + PAGE - 1);
}
