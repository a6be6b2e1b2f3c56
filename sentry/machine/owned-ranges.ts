/** Which addresses the guest mapped, and what: by the executor's own word. */
import { CodeHeader, CodeRange, OwnedHeader, OwnedRange } from "../../ring/layout.ts";
import type { ByteString } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import type { ImageMapping, MappedFile } from "../kernel/machine.ts";
import type { GuestMemory } from "../kernel/memory.ts";
import { OWNED_LIMIT, TAG_HEAP } from "./protocol.ts";

/** What a tag stands for: a file with the offset at which its mapping begins, or a name. */
interface Tagged extends MappedFile {
  readonly offset: number;
  readonly isFile: boolean;
}

/** Guest addresses `[start, end)` with what is mapped there. */
export interface GuestRange extends MappedFile {
  readonly start: number;
  readonly end: number;
  readonly offset: number;
  /** Of guests whose code is translated: whether they may execute it. The host may not. */
  readonly executable?: boolean;
}

const NOTHING: Tagged = { name: "", dev: 0, ino: 0, offset: 0, isFile: false };
const named = (name: ByteString): Tagged => ({ ...NOTHING, name });
/** Other threads change the ranges meanwhile: how often to look again before what was seen must do. */
const ATTEMPTS = 4;
/** Tags kept at least before those that are mapped nowhere any more are forgotten. */
const TAGS_KEPT = 1024;
const TAG_MAX = TAG_HEAP - 1;
/** Translations one executor may tell of: its cache has room for as many. */
const TRANSLATED_MAX = 1 << 17;
const WORD_BYTES = 8;

/**
 * The guest's part of one address space. The ranges lie in the executor's memory, which guest code can
 * write: what is read is checked for sense, and nothing but what /proc shows depends on it.
 */
export class OwnedRanges {
  readonly #memory: GuestMemory;
  #tags: Map<number, Tagged>;
  #nextTag: number;
  #prune = TAGS_KEPT;
  /** Where the executor keeps them; 0: it has not said so yet. */
  #address: number;

  /** @param parent what the space is a copy of. */
  constructor(memory: GuestMemory, parent: OwnedRanges | undefined) {
    this.#memory = memory;
    this.#tags = new Map(parent === undefined ? [[TAG_HEAP, named("[heap]")]] : parent.#tags);
    this.#nextTag = parent === undefined ? 1 : parent.#nextTag;
    this.#address = parent === undefined ? 0 : parent.#address;
  }

  /** A fresh image is in place. @param address where the executor keeps its ranges. */
  begin(address: number, mappings: readonly ImageMapping[]): void {
    this.#address = address;
    for (const [i, { file, stack }] of mappings.entries()) {
      if (file !== undefined) {
        this.#tags.set(i + 1, {
          ...file.shown,
          offset: file.offset,
          backing: file.backing,
          isFile: true,
        });
      } else if (stack === true) {
        this.#tags.set(i + 1, named("[stack]"));
      }
    }
    this.#nextTag = mappings.length + 1;
  }

  /** @returns the tag that the next mapping of a file is to have. */
  add(file: MappedFile & { readonly offset: number }): number {
    if (this.#tags.size >= this.#prune) this.#forget();
    const tag = this.#nextTag;
    this.#nextTag = tag >= TAG_MAX ? 1 : tag + 1;
    this.#tags.set(tag, { ...file, isFile: true });
    return tag;
  }

  /** The guest's ranges now, by address and without overlaps. */
  ranges(): readonly GuestRange[] {
    const ranges = this.#read().map(({ start, end, offset, tag }) => {
      const { isFile, ...file } = this.#tags.get(tag) ?? NOTHING;
      return { start, end, ...file, offset: isFile ? file.offset + offset : 0 };
    });
    const code = this.#code();
    return code === undefined ? ranges : ranges.flatMap((range) => split(range, code));
  }

  /** The guest addresses that had to be translated so far: the executor's word. */
  translated(): BigUint64Array {
    const code = this.#header()?.code ?? 0;
    const header = code === 0 ? undefined : this.#memory.copyIn(code, CodeHeader.size);
    if (header === undefined || header instanceof Errno) return new BigUint64Array();
    const made = Number(wordAt(header, CodeHeader.made));
    const count = this.#memory.copyIn(made, WORD_BYTES);
    if (count instanceof Errno) return new BigUint64Array();
    const known = Math.min(Number(wordAt(count, 0)), TRANSLATED_MAX);
    const bytes = this.#memory.copyIn(made + WORD_BYTES, known * WORD_BYTES);
    if (bytes instanceof Errno) return new BigUint64Array();
    return new BigUint64Array(Uint8Array.from(bytes).buffer);
  }

  /** What a guest whose code is translated may execute. */
  #code(): readonly CodeSpan[] | undefined {
    const address = this.#header()?.code ?? 0;
    if (address === 0) return undefined;
    let found: readonly CodeSpan[] = [];
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = this.#codeHeader(address);
      if (before === undefined) return found;
      const bytes = this.#memory.copyIn(address + CodeHeader.size, before.count * CodeRange.size);
      if (bytes instanceof Errno) return found;
      found = parseCode(bytes);
      const still = before.version % 2 === 0;
      if (still && this.#codeHeader(address)?.version === before.version) return found;
    }
    return found;
  }

  #codeHeader(address: number): { readonly count: number; readonly version: number } | undefined {
    const bytes = this.#memory.copyIn(address, CodeHeader.size);
    if (bytes instanceof Errno) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const count = view.getUint32(CodeHeader.count, true);
    if (count > OWNED_LIMIT) return undefined;
    return { count, version: view.getUint32(CodeHeader.version, true) };
  }

  #forget(): void {
    const used = new Set(this.#read().map(({ tag }) => tag));
    used.add(TAG_HEAP);
    // The latest ones may be on their way to their mapping.
    const recent = this.#nextTag - TAGS_KEPT / 2;
    this.#tags = new Map([...this.#tags].filter(([tag]) => used.has(tag) || tag >= recent));
    this.#prune = Math.max(TAGS_KEPT, 2 * this.#tags.size);
  }

  #read(): readonly RawRange[] {
    let found: readonly RawRange[] = [];
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = this.#header();
      if (before === undefined) return found;
      const length = before.count * OwnedRange.size;
      const bytes = this.#memory.copyIn(this.#address + OwnedHeader.size, length);
      if (bytes instanceof Errno) return found;
      found = parse(bytes);
      const still = before.sequence % 2n === 0n && this.#header()?.sequence === before.sequence;
      if (still) return found;
    }
    return found;
  }

  #header():
    | { readonly count: number; readonly sequence: bigint; readonly code: number }
    | undefined {
    if (this.#address === 0) return undefined;
    const bytes = this.#memory.copyIn(this.#address, OwnedHeader.size);
    if (bytes instanceof Errno) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const count = view.getUint32(OwnedHeader.count, true);
    if (count > OWNED_LIMIT) return undefined;
    return {
      count,
      sequence: view.getBigUint64(OwnedHeader.sequence, true),
      code: Number(view.getBigUint64(OwnedHeader.code, true)),
    };
  }
}

interface RawRange {
  readonly start: number;
  readonly end: number;
  readonly offset: number;
  readonly tag: number;
}

interface CodeSpan {
  readonly start: number;
  readonly end: number;
}

function parseCode(bytes: Uint8Array): readonly CodeSpan[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const spans: CodeSpan[] = [];
  for (let at = 0; at < bytes.length; at += CodeRange.size) {
    const start = Number(view.getBigUint64(at + CodeRange.begin, true));
    const end = Number(view.getBigUint64(at + CodeRange.end, true));
    if (start >= (spans[spans.length - 1]?.end ?? 0) && end > start) spans.push({ start, end });
  }
  return spans;
}

/** A range in parts of which each is executable or not. */
function split(range: GuestRange, code: readonly CodeSpan[]): readonly GuestRange[] {
  const parts: GuestRange[] = [];
  const add = (start: number, end: number, executable: boolean) => {
    if (start >= end) return;
    const offset = range.ino === 0 ? 0 : range.offset + (start - range.start);
    parts.push({ ...range, start, end, offset, executable });
  };
  let at = range.start;
  for (const span of code) {
    if (span.end <= at || span.start >= range.end) continue;
    const start = Math.max(at, span.start);
    add(at, start, false);
    at = Math.min(range.end, span.end);
    add(start, at, true);
  }
  add(at, range.end, false);
  return parts;
}

/** Those ranges that make sense: each beyond the one before. */
function parse(bytes: Uint8Array): readonly RawRange[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ranges: RawRange[] = [];
  let last = 0;
  for (let at = 0; at < bytes.length; at += OwnedRange.size) {
    const start = Number(view.getBigUint64(at + OwnedRange.begin, true));
    const end = Number(view.getBigUint64(at + OwnedRange.end, true));
    if (start < last || end <= start) continue;
    last = end;
    ranges.push({
      start,
      end,
      offset: Number(view.getBigUint64(at + OwnedRange.offset, true)),
      tag: view.getUint32(at + OwnedRange.tag, true),
    });
  }
  return ranges;
}

function wordAt(bytes: Uint8Array, offset: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(offset, true);
}
