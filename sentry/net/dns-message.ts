/** DNS messages as far as a forwarder needs them. See RFC 1035, section 4. */
import { type Ip, ipBytes, ipOfBytes, isV4 } from "../abi/ip.ts";

export const TYPE_A = 1;
export const TYPE_PTR = 12;
export const TYPE_AAAA = 28;
export const RCODE = { ok: 0, malformed: 1, failed: 2, unknown: 3, notImplemented: 4 } as const;

const CLASS_IN = 1;
const HEADER_SIZE = 12;
const FLAG_ANSWER = 0x8000;
const FLAG_RECURSION_WANTED = 0x0100;
const FLAG_RECURSION_THERE = 0x0080;
const OPCODE_MASK = 0x7800;
const NAME_MAX = 255;
const LABEL_MAX = 63;
/** Compression pointers followed in one name. */
const JUMPS_MAX = 32;
/** Records of an answer that are looked at. */
const RECORDS_MAX = 256;

/** What a query asks. */
export interface Question {
  readonly id: number;
  readonly flags: number;
  /** Lower case, labels joined by dots, without the last dot. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** The question section as it was sent. */
  readonly raw: Uint8Array;
}

/** An answer: a name or an address. */
export type Answer =
  | { readonly type: typeof TYPE_PTR; readonly name: string }
  | { readonly type: typeof TYPE_A | typeof TYPE_AAAA; readonly ip: Ip };

const isIn = (question: Question) => question.class === CLASS_IN;

/** Whether a question is one for addresses or names of the internet that this server can answer itself. */
export function isAnswerable(question: Question): boolean {
  return isIn(question) && [TYPE_A, TYPE_AAAA, TYPE_PTR].includes(question.type);
}

/** Reads a query. @returns the response code to refuse it with, or undefined when it deserves no answer. */
export function parseQuery(bytes: Uint8Array): Question | number | undefined {
  const message = Buffer.from(bytes);
  if (message.length < HEADER_SIZE) return undefined;
  const flags = message.readUInt16BE(2);
  if ((flags & FLAG_ANSWER) !== 0) return undefined;
  if ((flags & OPCODE_MASK) !== 0) return RCODE.notImplemented;
  if (message.readUInt16BE(4) !== 1) return RCODE.malformed;
  const read = readName(message, HEADER_SIZE);
  if (read === undefined || read.end + 4 > message.length) return RCODE.malformed;
  return {
    id: message.readUInt16BE(0),
    flags,
    name: read.name.toLowerCase(),
    type: message.readUInt16BE(read.end),
    class: message.readUInt16BE(read.end + 2),
    raw: message.subarray(HEADER_SIZE, read.end + 4),
  };
}

function readName(message: Buffer, start: number): { name: string; end: number } | undefined {
  const labels: string[] = [];
  let end: number | undefined;
  let at = start;
  let length = 0;
  for (let jumps = 0; jumps <= JUMPS_MAX; ) {
    const size = message[at];
    if (size === undefined) return undefined;
    if ((size & 0xc0) === 0xc0) {
      if (at + 1 >= message.length) return undefined;
      end ??= at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
      jumps += 1;
      continue;
    }
    if (size === 0) return { name: labels.join("."), end: end ?? at + 1 };
    length += size + 1;
    if (size > LABEL_MAX || length > NAME_MAX || at + 1 + size > message.length) return undefined;
    labels.push(message.toString("latin1", at + 1, at + 1 + size));
    at += 1 + size;
  }
  return undefined;
}

function writeName(name: string): Buffer {
  const labels = name.split(".").filter((label) => label !== "");
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label, "latin1").subarray(0, LABEL_MAX);
    return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
  });
  return Buffer.concat([...parts, Uint8Array.of(0)]);
}

/** The response to a question. */
export function encodeResponse(
  question: Question,
  rcode: number,
  answers: readonly Answer[],
  ttlSeconds: number,
): Uint8Array {
  const header = Buffer.alloc(HEADER_SIZE);
  const recursion = (question.flags & FLAG_RECURSION_WANTED) | FLAG_RECURSION_THERE;
  header.writeUInt16BE(question.id, 0);
  header.writeUInt16BE(FLAG_ANSWER | recursion | rcode, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers.length, 6);
  const records = answers.map((answer) => {
    const data = answer.type === TYPE_PTR ? writeName(answer.name) : ipBytes(answer.ip);
    const fixed = Buffer.alloc(HEADER_SIZE);
    fixed.writeUInt16BE(0xc000 | HEADER_SIZE, 0);
    fixed.writeUInt16BE(answer.type, 2);
    fixed.writeUInt16BE(CLASS_IN, 4);
    fixed.writeUInt32BE(ttlSeconds, 6);
    fixed.writeUInt16BE(data.length, 10);
    return Buffer.concat([fixed, data]);
  });
  return Buffer.concat([header, question.raw, ...records]);
}

/** A refusal of what could not be read. */
export function encodeRefusal(query: Uint8Array, rcode: number): Uint8Array {
  const header = Buffer.alloc(HEADER_SIZE);
  Buffer.from(query).copy(header, 0, 0, 2);
  header.writeUInt16BE(FLAG_ANSWER | rcode, 2);
  return header;
}

/** Addresses and their time to live among the answers of a response; damaged ones end the list. */
export function addressesIn(
  response: Uint8Array,
): readonly { readonly ip: Ip; readonly ttlSeconds: number }[] {
  const message = Buffer.from(response);
  const found: { ip: Ip; ttlSeconds: number }[] = [];
  if (message.length < HEADER_SIZE || message.readUInt16BE(4) !== 1) return found;
  const asked = readName(message, HEADER_SIZE);
  if (asked === undefined) return found;
  let at = asked.end + 4;
  const count = Math.min(message.readUInt16BE(6), RECORDS_MAX);
  for (let i = 0; i < count; i++) {
    const owner = readName(message, at);
    if (owner === undefined || owner.end + 10 > message.length) break;
    const type = message.readUInt16BE(owner.end);
    const ttlSeconds = message.readUInt32BE(owner.end + 4);
    const data = owner.end + 10;
    const length = message.readUInt16BE(owner.end + 8);
    if (data + length > message.length) break;
    const fits = (type === TYPE_A && length === 4) || (type === TYPE_AAAA && length === 16);
    if (fits) found.push({ ip: ipOfBytes(message.subarray(data, data + length)), ttlSeconds });
    at = data + length;
  }
  return found;
}

/** The address that a name such as `2.0.18.172.in-addr.arpa` is about. */
export function addressOfReverseName(name: string): Ip | undefined {
  const v4 = /^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.in-addr\.arpa$/.exec(name);
  if (v4 !== null) {
    const bytes = v4.slice(1).reverse().map(Number);
    return bytes.every((byte) => byte <= 255) ? ipOfBytes(Uint8Array.from(bytes)) : undefined;
  }
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name);
  const digits = v6?.[1]?.split(".").reverse().join("");
  return digits === undefined ? undefined : ipOfBytes(Buffer.from(digits, "hex"));
}

/** What answers a question for addresses of a family: those of that family. */
export function addressAnswers(ips: readonly Ip[], type: number): readonly Answer[] {
  return ips
    .filter((ip) => isV4(ip) === (type === TYPE_A))
    .map((ip) => ({ type: type === TYPE_A ? TYPE_A : TYPE_AAAA, ip }));
}
