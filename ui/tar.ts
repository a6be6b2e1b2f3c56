/** Archives as builds take them: regular files only. POSIX.1-1988, ustar. */

const BLOCK = 512;
const NAME_LENGTH_MAX = 100;
const MODE = 0o644;

function header(name: string, size: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  const encoder = new TextEncoder();
  const put = (text: string, at: number) => bytes.set(encoder.encode(text), at);
  const octal = (value: number, at: number, length: number) =>
    put(`${value.toString(8).padStart(length - 1, "0")}\0`, at);
  put(name, 0);
  octal(MODE, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  put("        0", 148);
  put("ustar\u000000", 257);
  octal(
    bytes.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return bytes;
}

/** @throws {Error} for a name that does not fit. */
export function archive(files: ReadonlyMap<string, Uint8Array>): Uint8Array<ArrayBuffer> {
  const pieces: Uint8Array[] = [];
  for (const [name, content] of files) {
    if (new TextEncoder().encode(name).length > NAME_LENGTH_MAX) {
      throw new Error(`${name} is too long a name`);
    }
    const padding = (BLOCK - (content.length % BLOCK)) % BLOCK;
    pieces.push(header(name, content.length), content, new Uint8Array(padding));
  }
  pieces.push(new Uint8Array(2 * BLOCK));
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
