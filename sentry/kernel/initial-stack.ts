/**
 * What a program finds on its stack: argc, argv, envp and the auxiliary vector. See the psABI, "Process
 * Initialization".
 */
import type { ByteString } from "../abi/bytes.ts";

export const AT_PHDR = 3;
export const AT_PHENT = 4;
export const AT_PHNUM = 5;
export const AT_PAGESZ = 6;
export const AT_BASE = 7;
export const AT_FLAGS = 8;
export const AT_ENTRY = 9;
export const AT_UID = 11;
export const AT_EUID = 12;
export const AT_GID = 13;
export const AT_EGID = 14;
export const AT_PLATFORM = 15;
export const AT_HWCAP = 16;
export const AT_CLKTCK = 17;
export const AT_SECURE = 23;
export const AT_RANDOM = 25;
export const AT_HWCAP2 = 26;
export const AT_EXECFN = 31;
export const AT_SYSINFO_EHDR = 33;
export const AT_MINSIGSTKSZ = 51;
const AT_NULL = 0;

/** What goes onto the stack. */
export interface StackContent {
  readonly argv: readonly ByteString[];
  readonly envp: readonly ByteString[];
  /** The name the program was executed by: AT_EXECFN. */
  readonly execfn: ByteString;
  readonly platform: ByteString;
  /** 16 bytes for AT_RANDOM. */
  readonly random: Uint8Array;
  /** The entries whose values are not addresses on the stack, in order. */
  readonly auxv: readonly (readonly [type: number, value: number | bigint])[];
}

/** A stack, ready to be stored. */
export interface InitialStack {
  readonly stackPointer: number;
  /** What lies from the stack pointer up to the top. */
  readonly bytes: Uint8Array;
  /** The auxiliary vector alone. */
  readonly auxv: Uint8Array;
}

/** @param top the first address above the stack; a multiple of 16. */
export function initialStack(top: number, content: StackContent): InitialStack {
  // From the top down: a null word, the name, the strings, the platform, the random bytes.
  const strings = [...content.argv, ...content.envp];
  const text = Buffer.from([...strings, content.execfn].map((s) => `${s}\0`).join(""), "latin1");
  const textAddr = top - 8 - text.length;
  const platform = Buffer.from(`${content.platform}\0`, "latin1");
  const platformAddr = textAddr - platform.length;
  const randomAddr = platformAddr - 16;

  const addresses: number[] = [];
  let at = textAddr;
  for (const string of strings) {
    addresses.push(at);
    at += string.length + 1;
  }
  const execfnAddr = at;

  const auxv: [number, number | bigint][] = [
    ...content.auxv.map(([type, value]): [number, number | bigint] => [type, value]),
    [AT_RANDOM, randomAddr],
    [AT_EXECFN, execfnAddr],
    [AT_PLATFORM, platformAddr],
    [AT_NULL, 0],
  ];
  const { length: argc } = content.argv;
  const words = 1 + argc + 1 + content.envp.length + 1 + auxv.length * 2;
  const unaligned = randomAddr - words * 8;
  const stackPointer = unaligned - (unaligned % 16);

  const bytes = Buffer.alloc(top - stackPointer);
  let offset = 0;
  const word = (value: number | bigint) => {
    bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), offset);
    offset += 8;
  };
  word(argc);
  for (const addr of addresses.slice(0, argc)) word(addr);
  word(0);
  for (const addr of addresses.slice(argc)) word(addr);
  word(0);
  const auxvStart = offset;
  for (const [type, value] of auxv) {
    word(type);
    word(value);
  }
  const auxvEnd = offset;
  bytes.set(content.random.subarray(0, 16), randomAddr - stackPointer);
  bytes.set(platform, platformAddr - stackPointer);
  bytes.set(text, textAddr - stackPointer);
  return { stackPointer, bytes, auxv: Uint8Array.from(bytes.subarray(auxvStart, auxvEnd)) };
}
