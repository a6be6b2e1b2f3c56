import { OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, TABDLY, XTABS } from "../../abi/tty.ts";

const BACKSPACE = 8;
const TAB = 9;
const NEWLINE = 10;
const RETURN = 13;
const SPACE = 32;
const CARET = 94;
const TAB_STOP = 8;

export function isControl(byte: number): boolean {
  return byte < SPACE || byte === 127;
}

/** Letters as the kernel sees them, in Latin-1 whatever the encoding is: `lib/ctype.c`. */
export function isUpper(byte: number): boolean {
  return (byte >= 65 && byte <= 90) || (byte >= 0xc0 && byte <= 0xde && byte !== 0xd7);
}

export function isLower(byte: number): boolean {
  return (byte >= 97 && byte <= 122) || (byte >= 0xdf && byte !== 0xf7);
}

/** Whether a byte continues a UTF-8 character. */
export function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/** What a terminal does to output, and the column it has come to. See c_oflag in termios(3). */
export class OutputProcessor {
  #column = 0;
  #lineColumn = 0;

  /** The column at which the line that is being typed begins. */
  get lineColumn(): number {
    return this.#lineColumn;
  }

  /** A line begins to be typed here. */
  beginLine(): void {
    this.#lineColumn = this.#column;
  }

  /** Appends to `out` what the terminal shows for `byte`. */
  put(oflag: number, utf8: boolean, byte: number, out: number[]): void {
    if ((oflag & OPOST) === 0) {
      out.push(byte);
      return;
    }
    switch (byte) {
      case NEWLINE:
        if (oflag & (ONLCR | ONLRET)) this.#column = 0;
        this.beginLine();
        if (oflag & ONLCR) out.push(RETURN);
        out.push(NEWLINE);
        return;
      case RETURN:
        this.#return(oflag, out);
        return;
      case TAB:
        this.#tab(oflag, out);
        return;
      case BACKSPACE:
        if (this.#column > 0) this.#column--;
        out.push(byte);
        return;
      default:
        if (!isControl(byte) && !(utf8 && isContinuation(byte))) this.#column++;
        out.push(oflag & OLCUC && isLower(byte) ? byte - SPACE : byte);
    }
  }

  /** A control character as people read it, `^X`; not subject to the output modes. */
  putControl(byte: number, out: number[]): void {
    out.push(CARET, byte ^ 0o100);
    this.#column += 2;
  }

  /** Goes back over a tab of `width` columns; not subject to the output modes. */
  eraseTab(width: number, out: number[]): void {
    for (let i = 0; i < width; i++) out.push(BACKSPACE);
    this.#column = Math.max(this.#column - width, 0);
  }

  #return(oflag: number, out: number[]): void {
    if (oflag & ONOCR && this.#column === 0) return;
    if (oflag & OCRNL) {
      if (oflag & ONLRET) {
        this.#column = 0;
        this.beginLine();
      }
      out.push(NEWLINE);
      return;
    }
    this.#column = 0;
    this.beginLine();
    out.push(RETURN);
  }

  #tab(oflag: number, out: number[]): void {
    const width = TAB_STOP - (this.#column % TAB_STOP);
    this.#column += width;
    if ((oflag & TABDLY) === XTABS) for (let i = 0; i < width; i++) out.push(SPACE);
    else out.push(TAB);
  }
}
