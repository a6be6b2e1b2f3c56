import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";

/** A member of a hand-made archive; everything in it may be a lie. Strings are byte strings. */
export interface Member {
  readonly name: string;
  /** The type flag: "0" file, "1" hard link, "2" symlink, "3" character, "5" directory... */
  readonly type?: string;
  readonly content?: string | Uint8Array;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly link?: string;
  readonly major?: number;
  readonly minor?: number;
  /** Records of a pax header before this member. */
  readonly pax?: Readonly<Record<string, string>>;
  /** Written into the header instead of the size of `content`: 12 bytes. */
  readonly rawSize?: string;
}

const BLOCK = 512;

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, "0")}\0`;
}

function header(member: Member, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const put = (text: string, at: number, room: number): void => {
    block.write(text.slice(0, room), at, "latin1");
  };
  put(member.name, 0, 100);
  put(octal(member.mode ?? 0o644, 7), 100, 8);
  put(octal(member.uid ?? 0, 7), 108, 8);
  put(octal(member.gid ?? 0, 7), 116, 8);
  put(member.rawSize ?? octal(size, 11), 124, 12);
  put(octal(member.mtime ?? 0, 11), 136, 12);
  put(member.type ?? "0", 156, 1);
  put(member.link ?? "", 157, 100);
  put("ustar\x0000", 257, 8);
  put(octal(member.major ?? 0, 7), 329, 8);
  put(octal(member.minor ?? 0, 7), 337, 8);
  let sum = 8 * 32;
  for (const byte of block) sum += byte;
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8);
  return block;
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

/** A pax extended header's records, with right lengths. */
export function paxRecords(records: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const body = ` ${key}=${value}\n`;
    let length = body.length;
    while (String(length).length + body.length !== length) {
      length = String(length).length + body.length;
    }
    return `${length}${body}`;
  });
  return Buffer.from(lines.join(""), "latin1");
}

/** One member as bytes: its pax header, header and content. */
export function member(of: Member): Buffer {
  const content =
    typeof of.content === "string" ? Buffer.from(of.content, "latin1") : (of.content ?? "");
  const bytes = padded(Buffer.from(content));
  const parts = [header(of, content.length), bytes];
  if (of.pax !== undefined) {
    const records = paxRecords(of.pax);
    parts.unshift(header({ name: "PaxHeader", type: "x" }, records.length), padded(records));
  }
  return Buffer.concat(parts);
}

export const END: Buffer = Buffer.alloc(2 * BLOCK);

/** A whole archive. */
export function tar(members: readonly Member[]): Buffer {
  return Buffer.concat([...members.map(member), END]);
}

/** Bytes as a stream of small, odd pieces. */
export async function* pieces(bytes: Uint8Array, length = 10_007): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

/** A directory that goes away with the test. */
export function scratch(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), "dd-image-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
