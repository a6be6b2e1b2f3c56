/** What happens between a terminal's keyboard and its reader: n_tty, the default line discipline. See termios(3). */
import { SIGINT, SIGQUIT, SIGTSTP } from "../../abi/signal.ts";
import type { Termios } from "../../abi/structs.ts";
import {
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  ECHONL,
  ECHOPRT,
  ICANON,
  ICRNL,
  IEXTEN,
  IGNCR,
  IMAXBEL,
  INLCR,
  ISIG,
  ISTRIP,
  IUCLC,
  IUTF8,
  IXANY,
  IXON,
  NOFLSH,
  PARMRK,
  VEOF,
  VEOL,
  VEOL2,
  VERASE,
  VINTR,
  VKILL,
  VLNEXT,
  VMIN,
  VQUIT,
  VREPRINT,
  VSTART,
  VSTOP,
  VSUSP,
  VTIME,
  VWERASE,
} from "../../abi/tty.ts";
import {
  isContinuation,
  isControl,
  isLower,
  isUpper,
  OutputProcessor,
} from "./output-processor.ts";

export type TermiosValue = ReturnType<typeof Termios.parse>;

/** What a new pseudoterminal is set to: `tty_std_termios` and INIT_C_CC. */
export const INITIAL_TERMIOS: TermiosValue = {
  iflag: 0x500,
  oflag: 0x5,
  cflag: 0xbf,
  lflag: 0x8a3b,
  line: 0,
  cc: Uint8Array.of(3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0),
};

/** N_TTY_BUF_SIZE: what may wait to be read. */
const BUFFER_MAX = 4096;
const BELL = 7;
const BACKSPACE = 8;
const TAB = 9;
const NEWLINE = 10;
const RETURN = 13;
const SPACE = 32;
const SLASH = 47;
const CARET = 94;
const BACKSLASH = 92;
/** `_POSIX_VDISABLE`: a control character that is switched off. */
const DISABLED = 0;

/** The characters that send signals. */
const SIGNALS = [
  [VINTR, SIGINT],
  [VQUIT, SIGQUIT],
  [VSUSP, SIGTSTP],
] as const;

/** What the discipline causes outside of it. */
export interface TerminalSide {
  /** Bytes for the screen: echo. */
  echo(bytes: Uint8Array): void;
  /** A signal for the foreground process group. */
  signal(signo: number): void;
  /** Output is to stop, or go on. */
  setStopped(stopped: boolean): void;
  /** What was written and not yet shown is thrown away. */
  flushOutput(): void;
}

/** A line that is ready to be read; an end of file is a line without its delimiter. */
interface Line {
  readonly bytes: Uint8Array;
  at: number;
}

/** One terminal's input and output processing. It knows neither tasks nor files. */
export class LineDiscipline {
  readonly #side: TerminalSide;
  readonly #output = new OutputProcessor();
  #termios: TermiosValue = INITIAL_TERMIOS;
  /** Complete lines in canonical mode. */
  #lines: Line[] = [];
  /** The line being edited, or all that waits in raw mode. */
  #edit: number[] = [];
  #literalNext = false;
  /** ECHOPRT is in the middle of showing erased characters. */
  #erasing = false;
  #stopped = false;
  #echoed: number[] = [];

  constructor(side: TerminalSide) {
    this.#side = side;
  }

  get termios(): TermiosValue {
    return this.#termios;
  }

  /** Changes the settings; what waits to be read is kept, in the form of the new mode. */
  set termios(termios: TermiosValue) {
    const wasCanonical = this.#canonical;
    this.#termios = termios;
    if (wasCanonical !== this.#canonical) {
      this.#erasing = false;
      this.#literalNext = false;
      if (this.#canonical) {
        if (this.#edit.length > 0) this.#completeLine();
      } else {
        const waiting = this.#lines.flatMap((line) => [...line.bytes.subarray(line.at)]);
        this.#edit = [...waiting, ...this.#edit];
        this.#lines = [];
      }
    }
    if ((termios.iflag & IXON) === 0) this.#setStopped(false);
  }

  get #canonical(): boolean {
    return (this.#termios.lflag & ICANON) !== 0;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Bytes that a reader could get at once; FIONREAD. */
  get available(): number {
    if (!this.#canonical) return this.#edit.length;
    return this.#lines.reduce((sum, line) => sum + line.bytes.length - line.at, 0);
  }

  /** How much more typing is taken in; raw mode refuses what canonical mode would throw away. */
  get room(): number {
    if (this.#canonical && this.#lines.length === 0) return BUFFER_MAX;
    return Math.max(BUFFER_MAX - 1 - this.available, 0);
  }

  /** Whether a reader has something, an end of file included. See poll(2). */
  get readable(): boolean {
    if (this.#canonical) return this.#lines.length > 0;
    const { cc } = this.#termios;
    const least = cc[VTIME] === 0 ? Math.max(cc[VMIN] ?? 0, 1) : 1;
    return this.#edit.length >= least;
  }

  /** Takes what was typed. */
  type(bytes: Uint8Array): void {
    for (const byte of bytes) this.#receive(byte);
    this.#flushEcho();
  }

  /**
   * The next bytes for a reader with room for `count`.
   * @returns undefined when a line is not complete, or in raw mode fewer than `least` bytes wait.
   */
  read(count: number, least: number): Uint8Array | undefined {
    if (!this.#canonical) {
      if (this.#edit.length < Math.min(least, count)) return undefined;
      return Uint8Array.from(this.#edit.splice(0, count));
    }
    const [line] = this.#lines;
    if (line === undefined) return undefined;
    const part = line.bytes.subarray(line.at, line.at + count);
    line.at += part.length;
    if (line.at >= line.bytes.length) this.#lines.shift();
    return part;
  }

  /** What the terminal shows for bytes that are written. */
  write(bytes: Uint8Array): Uint8Array {
    const out: number[] = [];
    const { oflag, iflag } = this.#termios;
    const utf8 = (iflag & IUTF8) !== 0;
    for (const byte of bytes) this.#output.put(oflag, utf8, byte, out);
    return Uint8Array.from(out);
  }

  /** Throws away what has not been read. See tcflush(3). */
  flushInput(): void {
    this.#lines = [];
    this.#edit = [];
    this.#erasing = false;
  }

  /** Stops or restarts output, as the STOP and START characters do. See tcflow(3). */
  setStopped(stopped: boolean): void {
    this.#setStopped(stopped);
  }

  #setStopped(stopped: boolean): void {
    if (this.#stopped === stopped) return;
    this.#stopped = stopped;
    this.#side.setStopped(stopped);
  }

  /** Whether `byte` is the control character at `index`. */
  #is(byte: number, index: number): boolean {
    return byte !== DISABLED && this.#termios.cc[index] === byte;
  }

  #receive(typed: number): void {
    const { iflag, lflag } = this.#termios;
    let byte = iflag & ISTRIP ? typed & 0x7f : typed;
    const extended = (lflag & IEXTEN) !== 0;
    if (iflag & IUCLC && extended && isUpper(byte)) byte += SPACE;

    if (this.#literalNext) {
      this.#literalNext = false;
      this.#finishErasing();
      if (lflag & ECHO) this.#echoTyped(byte);
      this.#keep(byte);
      return;
    }
    if (this.#controls(byte)) return;
    if (this.#stopped && iflag & IXON && iflag & IXANY) this.#setStopped(false);
    if (byte === RETURN) {
      if (iflag & IGNCR) return;
      if (iflag & ICRNL) byte = NEWLINE;
    } else if (byte === NEWLINE && iflag & INLCR) byte = RETURN;

    if (this.#canonical && this.#edits(byte, extended)) return;
    if (lflag & ECHO) {
      this.#finishErasing();
      if (byte === NEWLINE) this.#echoRaw(NEWLINE);
      else this.#echoTyped(byte);
    }
    if (iflag & PARMRK && byte === 0xff) this.#keep(byte);
    this.#keep(byte);
  }

  /** Flow control and signals. @returns whether the character has done what it is for. */
  #controls(byte: number): boolean {
    const { iflag, lflag } = this.#termios;
    if (iflag & IXON && (this.#is(byte, VSTART) || this.#is(byte, VSTOP))) {
      this.#setStopped(!this.#is(byte, VSTART));
      return true;
    }
    if ((lflag & ISIG) === 0) return false;
    const found = SIGNALS.find(([index]) => this.#is(byte, index));
    if (found === undefined) return false;
    this.#signal(found[1], byte);
    return true;
  }

  /** Line editing. @returns whether the character has done what it is for. */
  #edits(byte: number, extended: boolean): boolean {
    const { lflag } = this.#termios;
    if (this.#is(byte, VERASE)) this.#erase("character");
    else if (this.#is(byte, VKILL)) this.#erase("line");
    else if (extended && this.#is(byte, VWERASE)) this.#erase("word");
    else if (extended && this.#is(byte, VLNEXT)) {
      this.#literalNext = true;
      if (lflag & ECHO) {
        this.#finishErasing();
        if (lflag & ECHOCTL) this.#echoRaw(CARET, BACKSPACE);
      }
    } else if (extended && lflag & ECHO && this.#is(byte, VREPRINT)) {
      this.#finishErasing();
      this.#echoCharacter(byte);
      this.#echoRaw(NEWLINE);
      for (const kept of this.#edit) this.#echoCharacter(kept);
    } else if (byte === NEWLINE) {
      if (lflag & (ECHO | ECHONL)) this.#echoRaw(NEWLINE);
      this.#endLine(byte);
    } else if (this.#is(byte, VEOF)) {
      this.#completeLine();
    } else if (this.#is(byte, VEOL) || (extended && this.#is(byte, VEOL2))) {
      if (lflag & ECHO) this.#echoTyped(byte);
      this.#endLine(byte);
    } else return false;
    return true;
  }

  /** Adds a character to what waits, or drops it, with a bell, when there is no room. */
  #keep(byte: number): void {
    const waiting = this.#edit.length + (this.#canonical ? this.available : 0);
    if (waiting >= BUFFER_MAX - 1) {
      if (this.#termios.iflag & IMAXBEL) this.#echoed.push(BELL);
      return;
    }
    this.#edit.push(byte);
  }

  #endLine(delimiter: number): void {
    this.#edit.push(delimiter);
    this.#completeLine();
  }

  #completeLine(): void {
    this.#lines.push({ bytes: Uint8Array.from(this.#edit), at: 0 });
    this.#edit = [];
  }

  #signal(signo: number, byte: number): void {
    const { iflag, lflag } = this.#termios;
    if ((lflag & NOFLSH) === 0) {
      this.flushInput();
      this.#echoed = [];
      this.#side.flushOutput();
    }
    if (iflag & IXON) this.#setStopped(false);
    if (lflag & ECHO) {
      this.#echoCharacter(byte);
      this.#flushEcho();
    }
    this.#side.signal(signo);
  }

  #erase(what: "character" | "word" | "line"): void {
    if (this.#edit.length === 0) return;
    const { cc, lflag } = this.#termios;
    const echo = (lflag & ECHO) !== 0;
    if (
      what === "line" &&
      (!echo || (lflag & (ECHOK | ECHOKE | ECHOE)) !== (ECHOK | ECHOKE | ECHOE))
    ) {
      this.#edit = [];
      if (!echo) return;
      this.#finishErasing();
      this.#echoCharacter(cc[VKILL] ?? 0);
      // A new line, so that what was killed is not taken for what will be read.
      if (lflag & ECHOK) this.#echoRaw(NEWLINE);
      return;
    }
    let seenWord = false;
    while (this.#edit.length > 0) {
      const character = this.#lastCharacter();
      const first = character[0] ?? 0;
      if (what === "word") {
        if (isWordByte(first)) seenWord = true;
        else if (seenWord) break;
      }
      this.#edit.length -= character.length;
      if (echo) this.#echoErased(what, character);
      if (what === "character") break;
    }
    if (this.#edit.length === 0 && echo) this.#finishErasing();
  }

  /** The bytes of the last character of the edited line. */
  #lastCharacter(): number[] {
    let start = this.#edit.length - 1;
    if (this.#termios.iflag & IUTF8) {
      while (start > 0 && isContinuation(this.#edit[start] ?? 0)) start--;
    }
    return this.#edit.slice(start);
  }

  #echoErased(what: "character" | "word" | "line", character: readonly number[]): void {
    const { cc, lflag } = this.#termios;
    const first = character[0] ?? 0;
    if (lflag & ECHOPRT) {
      if (!this.#erasing) this.#echoRaw(BACKSLASH);
      this.#erasing = true;
      this.#echoCharacter(first);
      this.#echoRaw(...character.slice(1));
    } else if (what === "character" && (lflag & ECHOE) === 0) {
      this.#echoCharacter(cc[VERASE] ?? 0);
    } else if (first === TAB) {
      this.#output.eraseTab(8 - (this.#columnOfEnd() % 8), this.#echoed);
    } else {
      if (isControl(first) && lflag & ECHOCTL) this.#echoRaw(BACKSPACE, SPACE, BACKSPACE);
      if (!isControl(first) || lflag & ECHOCTL) this.#echoRaw(BACKSPACE, SPACE, BACKSPACE);
    }
  }

  /** The column at which the edited line ends, counted from its last tab or from its beginning. */
  #columnOfEnd(): number {
    const { iflag, lflag } = this.#termios;
    const tab = this.#edit.lastIndexOf(TAB);
    let column = tab < 0 ? this.#output.lineColumn : 0;
    for (const byte of this.#edit.slice(tab + 1)) {
      if (isControl(byte)) column += lflag & ECHOCTL ? 2 : 0;
      else if (!(iflag & IUTF8 && isContinuation(byte))) column++;
    }
    return column;
  }

  #finishErasing(): void {
    if (!this.#erasing) return;
    this.#erasing = false;
    this.#echoRaw(SLASH);
  }

  /** Shows a character that becomes part of the line. */
  #echoTyped(byte: number): void {
    if (this.#edit.length === 0) this.#output.beginLine();
    this.#echoCharacter(byte);
  }

  /** Shows a typed character, controls as `^X` if that is wanted. */
  #echoCharacter(byte: number): void {
    if (this.#termios.lflag & ECHOCTL && isControl(byte) && byte !== TAB) {
      this.#output.putControl(byte, this.#echoed);
    } else {
      this.#echoRaw(byte);
    }
  }

  #echoRaw(...bytes: number[]): void {
    const { oflag, iflag } = this.#termios;
    const utf8 = (iflag & IUTF8) !== 0;
    for (const byte of bytes) this.#output.put(oflag, utf8, byte, this.#echoed);
  }

  #flushEcho(): void {
    if (this.#echoed.length === 0) return;
    const bytes = Uint8Array.from(this.#echoed);
    this.#echoed = [];
    this.#side.echo(bytes);
  }
}

function isWordByte(byte: number): boolean {
  return isUpper(byte) || isLower(byte) || (byte >= 48 && byte <= 57) || byte === 95;
}
