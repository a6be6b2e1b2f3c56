import type { ByteString } from "../abi/bytes.ts";
import { BLOCK } from "./tar-header.ts";
import type { TarEntry, TarEntryType } from "./tar-reader.ts";

/** A member of an archive to be written. `content` has exactly the entry's size; only files have some. */
export interface TarMember {
  readonly entry: TarEntry;
  readonly content?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

const TYPEFLAGS: Readonly<Record<TarEntryType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
/** What fits in seven and eleven octal digits. */
const ID_MAX = 0o7777777;
const SIZE_MAX = 0o77777777777;
const SECOND = 1_000_000_000n;

/**
 * A tar archive of `members`, in their order and always the same bytes for the same members: ustar, with pax
 * records where ustar has no room.
 * @throws {Error} when a content has another length than its entry says
 */
export async function* writeTar(
  members: AsyncIterable<TarMember> | Iterable<TarMember>,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const { entry, content } of members) {
    yield encodeHeader(entry);
    let length = 0;
    for await (const bytes of content ?? []) {
      length += bytes.length;
      yield bytes;
    }
    if (length !== entry.size)
      throw new Error(`${length} bytes of content instead of ${entry.size}`);
    if (length % BLOCK !== 0) yield Buffer.alloc(BLOCK - (length % BLOCK));
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** A member's header, with the pax header before it where one is needed. */
export function encodeHeader(entry: TarEntry): Uint8Array {
  const records: [key: ByteString, value: ByteString][] = [];
  const path = entry.type === "directory" ? `${entry.path.replace(/\/+$/, "")}/` : entry.path;
  const split = splitPath(path);
  if (split === undefined) records.push(["path", path]);
  if (entry.link.length > NAME_BYTES) records.push(["linkpath", entry.link]);
  if (entry.size > SIZE_MAX) records.push(["size", String(entry.size)]);
  if (entry.uid > ID_MAX) records.push(["uid", String(entry.uid)]);
  if (entry.gid > ID_MAX) records.push(["gid", String(entry.gid)]);
  const seconds = floorSeconds(entry.mtime);
  if (entry.mtime % SECOND !== 0n || seconds < 0n || seconds > BigInt(SIZE_MAX)) {
    records.push(["mtime", decimal(entry.mtime)]);
  }
  for (const [name, value] of [...entry.xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    records.push([`SCHILY.xattr.${name}`, Buffer.from(value).toString("latin1")]);
  }
  const main = block(entry, split ?? { prefix: "", name: path.slice(0, NAME_BYTES) }, entry.size);
  if (records.length === 0) return main;
  const body = Buffer.from(records.map(([key, value]) => record(key, value)).join(""), "latin1");
  const extension = block(
    {
      ...entry,
      type: "file",
      link: "",
      mode: 0o644,
      uid: 0,
      gid: 0,
      major: 0,
      minor: 0,
      mtime: 0n,
    },
    {
      prefix: "",
      name: `PaxHeaders.0/${path.split("/").findLast(Boolean) ?? ""}`.slice(0, NAME_BYTES),
    },
    body.length,
    "x",
  );
  const padding = Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK);
  return Buffer.concat([extension, body, padding, main]);
}

interface Name {
  readonly prefix: ByteString;
  readonly name: ByteString;
}

/** A path as ustar has it: as much as needed before the last possible slash goes to the prefix. */
function splitPath(path: ByteString): Name | undefined {
  if (path.length <= NAME_BYTES) return { prefix: "", name: path };
  const slash = path.indexOf("/", path.length - NAME_BYTES - 1);
  if (slash <= 0 || slash > PREFIX_BYTES || slash === path.length - 1) return undefined;
  return { prefix: path.slice(0, slash), name: path.slice(slash + 1) };
}

function block(
  entry: TarEntry,
  { prefix, name }: Name,
  size: number,
  typeflag: string = TYPEFLAGS[entry.type],
): Buffer {
  const bytes = Buffer.alloc(BLOCK);
  const seconds = floorSeconds(entry.mtime);
  bytes.write(name, 0, "latin1");
  bytes.write(octal(entry.mode, 7), 100, "latin1");
  bytes.write(octal(entry.uid > ID_MAX ? 0 : entry.uid, 7), 108, "latin1");
  bytes.write(octal(entry.gid > ID_MAX ? 0 : entry.gid, 7), 116, "latin1");
  bytes.write(octal(size > SIZE_MAX ? 0 : size, 11), 124, "latin1");
  const inRange = seconds >= 0n && seconds <= BigInt(SIZE_MAX);
  bytes.write(octal(inRange ? Number(seconds) : 0, 11), 136, "latin1");
  bytes.write("        ", 148, "latin1");
  bytes.write(typeflag, 156, "latin1");
  bytes.write(entry.link.slice(0, NAME_BYTES), 157, "latin1");
  bytes.write("ustar\x0000", 257, "latin1");
  bytes.write(octal(entry.major, 7), 329, "latin1");
  bytes.write(octal(entry.minor, 7), 337, "latin1");
  bytes.write(prefix, 345, "latin1");
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${octal(sum, 6)}\0 `, 148, "latin1");
  return bytes;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

function floorSeconds(time: bigint): bigint {
  const seconds = time / SECOND;
  return time < 0n && time % SECOND !== 0n ? seconds - 1n : seconds;
}

/** Seconds with as many decimals as are needed. */
function decimal(time: bigint): string {
  const magnitude = time < 0n ? -time : time;
  const fraction = String(magnitude % SECOND)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const sign = time < 0n ? "-" : "";
  return `${sign}${magnitude / SECOND}${fraction === "" ? "" : `.${fraction}`}`;
}

/** `length key=value\n`, where length counts itself too. */
function record(key: ByteString, value: ByteString): ByteString {
  const body = ` ${key}=${value}\n`;
  let length = body.length + 1;
  while (String(length).length + body.length !== length)
    length = String(length).length + body.length;
  return `${length}${body}`;
}
