/** The user's terminal: its line discipline and its size. See termios(3) and ioctl_tty(2). */
import { Errno } from "../abi/errno.ts";
import { call } from "./call.ts";

const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;

/** `struct termios` of <asm-generic/termbits.h>: four words of flags, c_line, c_cc[19]. */
const TERMIOS_BYTES = 36;
const C_IFLAG = 0;
const C_OFLAG = 4;
const C_CFLAG = 8;
const C_LFLAG = 12;
const C_CC = 17;
const VTIME = 5;
const VMIN = 6;

/** What cfmakeraw(3) clears: IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON. */
const RAW_IFLAG = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000;
/** OPOST. */
const RAW_OFLAG = 0o1;
/** ECHO ECHONL ICANON ISIG IEXTEN. */
const RAW_LFLAG = 0o10 | 0o100 | 0o2 | 0o1 | 0o100000;
/** CSIZE PARENB, and CS8 instead. */
const RAW_CFLAG = 0o60 | 0o400;
const CS8 = 0o60;

export function isTerminal(fd: number): boolean {
  return !(call("ioctl", fd, TCGETS, Buffer.alloc(TERMIOS_BYTES)) instanceof Errno);
}

/** A terminal's size in characters, or the host's error when `fd` is no terminal. */
export function windowSize(fd: number): { readonly rows: number; readonly cols: number } | Errno {
  const size = Buffer.alloc(8);
  const result = call("ioctl", fd, TIOCGWINSZ, size);
  if (result instanceof Errno) return result;
  return { rows: size.readUInt16LE(0), cols: size.readUInt16LE(2) };
}

export function setWindowSize(fd: number, rows: number, cols: number): Errno | undefined {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(cols, 2);
  const result = call("ioctl", fd, TIOCSWINSZ, size);
  return result instanceof Errno ? result : undefined;
}

/** A terminal in raw mode: every byte typed goes to the container, Ctrl-C included. */
export class RawTerminal {
  private readonly fd: number;
  private readonly before: Buffer;
  private readonly onExit = () => this.restore();

  private constructor(fd: number, before: Buffer) {
    this.fd = fd;
    this.before = before;
  }

  /** Makes the terminal raw until {@link restore}, at the latest until this process exits. */
  static enter(fd: number): RawTerminal | Errno {
    const before = Buffer.alloc(TERMIOS_BYTES);
    const got = call("ioctl", fd, TCGETS, before);
    if (got instanceof Errno) return got;
    const raw = Buffer.from(before);
    clear(raw, C_IFLAG, RAW_IFLAG);
    clear(raw, C_OFLAG, RAW_OFLAG);
    clear(raw, C_LFLAG, RAW_LFLAG);
    clear(raw, C_CFLAG, RAW_CFLAG);
    raw.writeUInt32LE((raw.readUInt32LE(C_CFLAG) | CS8) >>> 0, C_CFLAG);
    raw[C_CC + VMIN] = 1;
    raw[C_CC + VTIME] = 0;
    const set = call("ioctl", fd, TCSETS, raw);
    if (set instanceof Errno) return set;
    const terminal = new RawTerminal(fd, before);
    process.on("exit", terminal.onExit);
    return terminal;
  }

  /** Gives the terminal back as it was. Harmless when done twice. */
  restore(): void {
    process.off("exit", this.onExit);
    call("ioctl", this.fd, TCSETS, this.before);
  }
}

function clear(termios: Buffer, offset: number, bits: number): void {
  termios.writeUInt32LE((termios.readUInt32LE(offset) & ~bits) >>> 0, offset);
}
