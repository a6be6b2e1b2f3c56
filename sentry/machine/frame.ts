import type { ByteString } from "../abi/bytes.ts";
import { EFAULT, ENAMETOOLONG, Errno } from "../abi/errno.ts";
import type { GuestMemory } from "../kernel/memory.ts";
import type { CallFrame } from "../syscalls/define.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";
import type { RawSubmission } from "./hub.ts";
import { STAGING_SIZE } from "./protocol.ts";
import { StagedBuffer, type StagingArea } from "./staging.ts";

const HIGH = 2 ** 32;
/**
 * What a call's buffer holds of the guest's, however large that is: a thread that waits costs the sentry no
 * more. Larger transfers go piece by piece; no datagram is larger (`net.core.wmem_max`).
 */
const COPY_LIMIT = 256 << 10;

/** One thread's current call: its registers, and the guest's memory behind them. Reused call after call. */
export class ThreadFrame implements CallFrame {
  readonly #words = new Uint32Array(12);
  readonly #offsets = new Uint16Array(8);
  #staged = 0;
  /** Bit i: the result register i points at has been stored in the staging area. */
  #stored = 0;
  #payload: Uint8Array = new Uint8Array(0);
  #output: { readonly addr: number; readonly buffer: HostBuffer } | undefined;
  readonly #memory: () => GuestMemory;
  readonly #area: StagingArea;

  constructor(memory: () => GuestMemory, area: StagingArea) {
    this.#memory = memory;
    this.#area = area;
  }

  /** Which of the staged results have been stored: the executor copies only those. */
  get stored(): number {
    return this.#stored;
  }

  /** Takes over the registers of a new call. */
  load(raw: RawSubmission): void {
    for (let i = 0; i < 12; i++) this.#words[i] = raw.words[raw.at + i] as number;
    this.#staged = raw.stagedMask;
    this.#stored = 0;
    for (let i = 0; i < 4; i++) {
      const pair = raw.words[raw.stagedAt + i] as number;
      this.#offsets[2 * i] = pair;
      this.#offsets[2 * i + 1] = pair >>> 16;
    }
    this.#payload = raw.payload;
    this.#output = undefined;
  }

  /** Stores what the call read into the guest's buffer. @returns the result the guest gets. */
  finish(result: number | Errno): number | Errno {
    const output = this.#output;
    this.#output = undefined;
    if (output === undefined) return result;
    const stored =
      result instanceof Errno || result <= 0
        ? result
        : (this.#memory().copyOut(output.addr, output.buffer.view(result)) ?? result);
    output.buffer.giveBack();
    return stored;
  }

  s32(index: number): number {
    return (this.#words[2 * index] as number) | 0;
  }

  u32(index: number): number {
    return this.#words[2 * index] as number;
  }

  s64(index: number): number {
    const high = (this.#words[2 * index + 1] as number) | 0;
    return high * HIGH + (this.#words[2 * index] as number);
  }

  u64(index: number): number {
    return (this.#words[2 * index + 1] as number) * HIGH + (this.#words[2 * index] as number);
  }

  big(index: number): bigint {
    return (BigInt(this.#words[2 * index + 1] as number) << 32n) | BigInt(this.u32(index));
  }

  copyIn(index: number, length: number): Uint8Array | Errno {
    const staged = this.#stagedAt(index);
    if (staged === undefined) return this.#memory().copyIn(this.u64(index), length);
    if (staged + length > this.#payload.length) return EFAULT;
    return this.#payload.slice(staged, staged + length);
  }

  string(index: number, limit: number): ByteString | Errno {
    const staged = this.#stagedAt(index);
    if (staged === undefined) return this.#memory().copyInString(this.u64(index), limit);
    const end = this.#payload.indexOf(0, staged);
    if (end < 0 || end - staged >= limit) return ENAMETOOLONG;
    return Buffer.from(
      this.#payload.buffer,
      this.#payload.byteOffset + staged,
      end - staged,
    ).toString("latin1");
  }

  copyOut(index: number, bytes: Uint8Array): Errno | undefined {
    const staged = this.#stagedAt(index);
    if (staged === undefined || staged + bytes.length > STAGING_SIZE) {
      return this.#memory().copyOut(this.u64(index), bytes);
    }
    this.#area.store(staged, bytes);
    this.#stored |= 1 << index;
    return undefined;
  }

  input(index: number, length: number): IoBuffer | Errno {
    const count = Math.min(length, COPY_LIMIT);
    const bytes = this.copyIn(index, count);
    return bytes instanceof Errno ? bytes : HostBuffer.over(bytes);
  }

  output(index: number, length: number): IoBuffer | Errno {
    const staged = this.#stagedAt(index);
    if (staged !== undefined && staged + length <= STAGING_SIZE) {
      return new StagedBuffer(this.#area, staged, length);
    }
    const buffer = HostBuffer.lease(Math.min(length, COPY_LIMIT));
    this.#output = { addr: this.u64(index), buffer };
    return buffer;
  }

  #stagedAt(index: number): number | undefined {
    return this.#staged & (1 << index) ? this.#offsets[index] : undefined;
  }
}
