import { Submission } from "../../ring/layout.ts";
import { type Hub, native } from "../../ring/native.ts";
import { type Errno, errnoOf } from "../abi/errno.ts";

/** A submission's registers as they lie in the batch, until the next wait. */
export interface RawSubmission {
  readonly ring: number;
  readonly slot: number;
  readonly number: number;
  /** Bit i: what register i points at is in the staging area. */
  readonly stagedMask: number;
  /** Twelve words: the low and high half of each register. */
  readonly words: Uint32Array;
  /** Where the twelve words begin in `words`. */
  readonly at: number;
  /** Where the four words begin that hold the staging offsets, two each. */
  readonly stagedAt: number;
  /** The private copy of what was staged. */
  readonly payload: Uint8Array;
}

const BATCH = 32;
const WORDS = Submission.size / 4;

/** All rings of one container, as the sentry reads them. Thin: the work is in ring/hub.cc. */
export class RingHub {
  readonly handle: Hub = native.createHub();
  readonly doorbellFd = native.hubDoorbellFd(this.handle);
  readonly #bytes = native.hubBatch(this.handle);
  readonly #words = new Uint32Array(this.#bytes.buffer, 0, BATCH * WORDS);
  readonly #payload = BATCH * Submission.size;
  readonly #fd = new Int32Array(1);

  /** Ends waits when `epollFd` becomes readable. Once. */
  watch(epollFd: number): void {
    native.hubWatch(this.handle, epollFd);
  }

  /** @returns the new ring and its descriptor, which is the caller's. */
  create(): { readonly ring: number; readonly fd: number } | Errno {
    const ring = native.hubCreateRing(this.handle, this.#fd);
    return ring < 0 ? errnoOf(-ring) : { ring, fd: this.#fd[0] as number };
  }

  destroy(ring: number): void {
    native.hubDestroyRing(this.handle, ring);
  }

  /**
   * Waits; see {@link native.hubWait}.
   * @returns how many submissions there are now, and whether host descriptors or Node's loop are ready.
   */
  wait(spinNs: number, timeoutMs: number): { count: number; descriptors: boolean; loop: boolean } {
    const result = native.hubWait(this.handle, spinNs, timeoutMs);
    return {
      count: result & 0xff,
      descriptors: (result & 0x100) !== 0,
      loop: (result & 0x200) !== 0,
    };
  }

  /** Submission `index` of the last wait. */
  submission(index: number): RawSubmission {
    const at = index * WORDS;
    const words = this.#words;
    const length = words[at + Submission.payloadLength / 4] as number;
    const offset = this.#payload + (words[at + Submission.payloadOffset / 4] as number);
    return {
      ring: words[at + Submission.ring / 4] as number,
      slot: words[at + Submission.slot / 4] as number,
      number: words[at + Submission.nr / 4] as number,
      stagedMask: words[at + Submission.stagedMask / 4] as number,
      words,
      at: at + Submission.args / 4,
      stagedAt: at + Submission.stagedOffset / 4,
      payload: length === 0 ? NOTHING : this.#bytes.slice(offset, offset + length),
    };
  }

  /** @returns a ring whose executor broke the protocol, each once; `undefined` when there is no other. */
  takeViolation(): number | undefined {
    const ring = native.hubTakeViolation(this.handle);
    return ring < 0 ? undefined : ring;
  }
}

const NOTHING = new Uint8Array(0);
