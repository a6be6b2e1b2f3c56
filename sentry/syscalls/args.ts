/** The kinds of register argument that rows are made of. */
import type { ByteString } from "../abi/bytes.ts";
import { EFAULT, EINVAL, Errno } from "../abi/errno.ts";
import type { Struct } from "../abi/struct.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";
import type { Arg, CallFrame, Out } from "./define.ts";

/** PATH_MAX, with its NUL. `<linux/limits.h>` */
export const PATH_MAX = 4096;
/** The most one transfer moves: MAX_RW_COUNT, INT_MAX rounded down to a page. See read(2). */
export const MAX_RW_COUNT = 0x7ffff000;

const VALUE = { kind: "value" } as const;

function value<T>(
  decode: (frame: CallFrame, index: number) => T | Errno,
  format: (frame: CallFrame, index: number) => string,
): Arg<T> {
  return { stage: VALUE, decode, format };
}

const decimal = (frame: CallFrame, index: number) => String(frame.s64(index));
const hex = (frame: CallFrame, index: number) => `0x${frame.u64(index).toString(16)}`;

/** A C `int`. */
export const int: Arg<number> = value(
  (frame, i) => frame.s32(i),
  (frame, i) => String(frame.s32(i)),
);
/** A C `unsigned int`: flags, ids. */
export const uint: Arg<number> = value(
  (frame, i) => frame.u32(i),
  (frame, i) => `0x${frame.u32(i).toString(16)}`,
);
/** A file descriptor. */
export const fd: Arg<number> = int;
/** A `mode_t`. */
export const mode: Arg<number> = value(
  (frame, i) => frame.u32(i) & 0o7777777,
  (frame, i) => `0${frame.u32(i).toString(8)}`,
);
/** A directory descriptor or `AT_FDCWD`. */
export const dirfd: Arg<number> = value(
  (frame, i) => frame.s32(i),
  (frame, i) => (frame.s32(i) === -100 ? "AT_FDCWD" : String(frame.s32(i))),
);
/** A signed 64-bit value: offsets. */
export const long: Arg<number> = value((frame, i) => frame.s64(i), decimal);
/** A `size_t`. */
export const size: Arg<number> = value(
  (frame, i) => frame.u64(i),
  (frame, i) => String(frame.u64(i)),
);
/** An address the handler dereferences itself through `task.memory`. 0 is null. */
export const addr: Arg<number> = value((frame, i) => frame.u64(i), hex);

function string(limit: number): Arg<ByteString> {
  return {
    stage: { kind: "string", limit },
    decode: (frame, index) => frame.string(index, limit),
    format: (frame, index) => {
      const text = frame.string(index, limit);
      return text instanceof Errno ? hex(frame, index) : JSON.stringify(text);
    },
  };
}

/** A path name. @returns `EFAULT`, or `ENAMETOOLONG` when it is longer than PATH_MAX. */
export const path: Arg<ByteString> = string(PATH_MAX);

/** A name that is not a path, such as an xattr's. */
export function name(limit: number): Arg<ByteString> {
  return string(limit);
}

/** A structure the call reads. A null pointer is `EFAULT`. */
export function structIn<T>(layout: Struct<T>): Arg<T> {
  return {
    stage: { kind: "in", size: layout.size },
    decode: (frame, index) => {
      const bytes = frame.copyIn(index, layout.size);
      return bytes instanceof Errno ? bytes : layout.parse(bytes);
    },
    format: hex,
  };
}

/** A structure the call reads if the pointer is not null. */
export function optionalStructIn<T>(layout: Struct<T>): Arg<T | undefined> {
  const inner = structIn(layout);
  return {
    ...inner,
    decode: (frame, index) => (frame.u64(index) === 0 ? undefined : inner.decode(frame, index)),
  };
}

/** A structure the call fills in. */
export function structOut<T>(layout: Struct<T>): Arg<Out<T>> {
  return {
    stage: { kind: "out", size: layout.size },
    decode: (frame, index) => ({
      isNull: frame.u64(index) === 0,
      write: (value) =>
        frame.u64(index) === 0 ? EFAULT : frame.copyOut(index, layout.bytes(value)),
    }),
    format: hex,
  };
}

/** The bytes of a write; their count is in register `lengthArg`. */
export function inBuffer(lengthArg: number): Arg<IoBuffer> {
  return {
    stage: { kind: "inBuffer", lengthArg },
    decode: (frame, index) => transfer(frame, lengthArg, (n) => frame.input(index, n)),
    format: hex,
  };
}

/** Room for a read; its size is in register `lengthArg`. */
export function outBuffer(lengthArg: number): Arg<IoBuffer> {
  return {
    stage: { kind: "outBuffer", lengthArg },
    decode: (frame, index) => transfer(frame, lengthArg, (n) => frame.output(index, n)),
    format: hex,
  };
}

function transfer(
  frame: CallFrame,
  lengthArg: number,
  make: (length: number) => IoBuffer | Errno,
): IoBuffer | Errno {
  const length = frame.s64(lengthArg);
  if (length < 0) return EINVAL;
  return make(Math.min(length, MAX_RW_COUNT));
}
