import { ENOMEM, Errno } from "../abi/errno.ts";
import type { HostBacking } from "../vfs/open-file.ts";
import { type ElfSegments, PAGE, pageDown, pageUp, type Segment } from "./elf.ts";
import type { ImageMapping, MappedFile } from "./machine.ts";

/** Bytes of segments that cannot be mapped are copied, up to this many per program. */
const COPIED_BYTES_MAX = 256 << 20;

const PROT_WRITE = 2;

/** Where a program's bytes come from. */
export interface ImageSource {
  /** To map from; undefined: the bytes must be read. */
  readonly backing: HostBacking | undefined;
  readonly shown: MappedFile;
  /** Exactly `length` bytes at `offset`. */
  read(offset: number, length: number): Uint8Array | Errno;
}

type Content = { readonly addr: number; readonly bytes: Uint8Array };

/**
 * Puts together the mappings of a program and its interpreter. What is added later lies on top, as with
 * MAP_FIXED; the result has no overlaps.
 */
export class ImageBuilder {
  #mappings: ImageMapping[] = [];
  #contents: Content[] = [];
  #copied = 0;

  /** By address, without overlaps. */
  get mappings(): readonly ImageMapping[] {
    return this.#mappings.sort((a, b) => a.addr - b.addr);
  }

  get contents(): readonly Content[] {
    return this.#contents;
  }

  /** Adds a mapping of zeroes, or of a file. */
  map(mapping: ImageMapping): void {
    if (mapping.length === 0) return;
    this.#clear(mapping.addr, mapping.addr + mapping.length);
    this.#mappings.push(mapping);
  }

  /** Stores bytes once everything is mapped. */
  store(addr: number, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#contents.push({ addr, bytes });
  }

  /**
   * Adds the segments of an ELF file.
   * @param bias what is added to its addresses.
   * @returns `ENOMEM` if too much would have to be copied, or the error of reading it.
   */
  load(elf: ElfSegments, bias: number, source: ImageSource): Errno | undefined {
    for (const segment of elf.segments) {
      const error = this.#loadSegment(segment, bias, source);
      if (error !== undefined) return error;
    }
    return undefined;
  }

  #loadSegment(segment: Segment, bias: number, source: ImageSource): Errno | undefined {
    const { offset, filesz, memsz, prot } = segment;
    const addr = segment.vaddr + bias;
    const start = pageDown(addr);
    const end = pageUp(addr + memsz);
    const congruent = offset % PAGE === addr % PAGE;
    if (source.backing === undefined || !congruent || filesz === 0) {
      return this.#copySegment(segment, addr, source);
    }

    const fileEnd = pageUp(addr + filesz);
    this.map({
      addr: start,
      length: fileEnd - start,
      prot,
      file: { backing: source.backing, offset: pageDown(offset), shown: source.shown },
    });
    this.map({ addr: fileEnd, length: end - fileEnd, prot });
    // What follows the segment in the file must not show up in .bss. A page that cannot be written keeps it.
    const tail = Math.min(fileEnd, addr + memsz) - (addr + filesz);
    if (memsz > filesz && tail > 0 && prot & PROT_WRITE) {
      this.store(addr + filesz, new Uint8Array(fileEnd - (addr + filesz)));
    }
    return undefined;
  }

  #copySegment(segment: Segment, addr: number, source: ImageSource): Errno | undefined {
    const { offset, filesz, memsz, prot } = segment;
    this.#copied += filesz;
    if (this.#copied > COPIED_BYTES_MAX) return ENOMEM;
    const start = pageDown(addr);
    this.map({ addr: start, length: pageUp(addr + memsz) - start, prot });
    if (filesz === 0) return undefined;
    const bytes = source.read(offset, filesz);
    if (bytes instanceof Errno) return bytes;
    this.store(addr, bytes);
    return undefined;
  }

  /** Takes everything out of `[start, end)`. */
  #clear(start: number, end: number): void {
    const overlaps = (from: number, length: number) => from < end && from + length > start;
    if (!this.#mappings.some(({ addr, length }) => overlaps(addr, length))) return;
    this.#mappings = this.#mappings.flatMap((old) => {
      if (!overlaps(old.addr, old.length)) return [old];
      return [part(old, old.addr, start), part(old, end, old.addr + old.length)].filter(
        ({ length }) => length > 0,
      );
    });
    this.#contents = this.#contents.flatMap((old) => {
      if (!overlaps(old.addr, old.bytes.length)) return [old];
      return [
        { addr: old.addr, bytes: old.bytes.subarray(0, Math.max(0, start - old.addr)) },
        { addr: Math.max(old.addr, end), bytes: old.bytes.subarray(Math.max(0, end - old.addr)) },
      ].filter(({ bytes }) => bytes.length > 0);
    });
  }
}

/** The part of a mapping between two addresses; its length is not positive if there is none. */
function part(mapping: ImageMapping, from: number, to: number): ImageMapping {
  const start = Math.max(from, mapping.addr);
  const shift = start - mapping.addr;
  const { file } = mapping;
  return {
    ...mapping,
    addr: start,
    length: Math.min(to, mapping.addr + mapping.length) - start,
    ...(file === undefined ? {} : { file: { ...file, offset: file.offset + shift } }),
  };
}
