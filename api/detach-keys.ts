import { Transform, type TransformCallback } from "node:stream";
import { ApiError } from "./errors.ts";

export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";
const KEYS_MAX = 16;

/**
 * The bytes of docker's description of a key sequence: letters, or `ctrl-` with a letter or one of `@[\]^_`,
 * divided by commas.
 * @throws {ApiError} `INVALID`.
 */
export function parseDetachKeys(text: string): Uint8Array {
  const keys = text.split(",");
  if (keys.length > KEYS_MAX) throw new ApiError("INVALID", "too many detach keys");
  return Uint8Array.from(keys, (key) => {
    if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
    const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
    if (control === undefined) {
      throw new ApiError(
        "INVALID",
        `invalid detach keys (${text}) provided: Unknown character: '${key}'`,
      );
    }
    return control.toUpperCase().charCodeAt(0) - 0x40;
  });
}

/** Lets bytes through until the keys come one after the other; then calls `onDetach`, and drops the rest. */
export class DetachFilter extends Transform {
  private readonly keys: Uint8Array;
  private readonly onDetach: () => void;
  private matched = 0;
  private detached = false;

  constructor(keys: Uint8Array, onDetach: () => void) {
    super();
    this.keys = keys;
    this.onDetach = onDetach;
  }

  override _transform(chunk: Uint8Array, _encoding: string, done: TransformCallback): void {
    const out: number[] = [];
    for (const byte of chunk) {
      if (this.detached) break;
      if (byte !== this.keys[this.matched]) {
        // What looked like the beginning of the sequence was input.
        out.push(...this.keys.subarray(0, this.matched));
        this.matched = 0;
      }
      if (byte === this.keys[this.matched]) this.matched += 1;
      else out.push(byte);
      if (this.matched === this.keys.length) {
        this.detached = true;
        this.onDetach();
      }
    }
    done(null, Buffer.from(out));
  }

  override _flush(done: TransformCallback): void {
    const held = this.detached ? [] : this.keys.subarray(0, this.matched);
    done(null, Buffer.from(held));
  }
}
