import type { ByteString } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import type { Isa, SyscallName } from "../abi/numbers.ts";
import type { Parked } from "../kernel/blocking.ts";
import type { Task } from "../kernel/task.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";

/** How much of Linux's behaviour a call has: all of it, or all but what the sentence says. */
export type Support = "full" | { readonly partial: string };

/** The registers of one call, and what the executor staged of the memory they point at. */
export interface CallFrame {
  /** Register `index` as a C `int`. */
  s32(index: number): number;
  /** Register `index` as a C `unsigned int`. */
  u32(index: number): number;
  /** Register `index` as a signed 64-bit number (exact up to 2^53, else rounded). */
  s64(index: number): number;
  /** Register `index` as an unsigned 64-bit number (exact up to 2^53, else rounded). */
  u64(index: number): number;
  /** The 64 bits of register `index` exactly. */
  big(index: number): bigint;
  /** `length` bytes the pointer in register `index` points at. @returns `EFAULT` for a bad address. */
  copyIn(index: number, length: number): Uint8Array | Errno;
  /** The string register `index` points at. @returns `ENAMETOOLONG`, `EFAULT`. */
  string(index: number, limit: number): ByteString | Errno;
  /** Stores `bytes` where register `index` points. @returns `EFAULT` for a bad address. */
  copyOut(index: number, bytes: Uint8Array): Errno | undefined;
  /** A buffer that holds what the guest wants written (`length` bytes at register `index`). */
  input(index: number, length: number): IoBuffer | Errno;
  /** A buffer to fill; after the call its first `result` bytes are stored at register `index`. */
  output(index: number, length: number): IoBuffer | Errno;
}

/**
 * How one register is understood: its C meaning for decoding, for the executor's staging table, for the
 * trace and for the documentation.
 */
export interface Arg<T> {
  /** `value`, or how the executor may stage what the register points at. */
  readonly stage:
    | { readonly kind: "value" }
    | { readonly kind: "string"; readonly limit: number }
    | { readonly kind: "in" | "out" | "inout"; readonly size: number | Record<Isa, number> }
    | { readonly kind: "inBuffer" | "outBuffer"; readonly lengthArg: number };
  /** @returns the value, or the errno the call fails with before its handler runs. */
  decode(frame: CallFrame, index: number): T | Errno;
  /** The argument in a trace line. */
  format(frame: CallFrame, index: number): string;
}

/** What a handler may return: a result, an error, or that the task waits and completes later. */
export type Result = number | Errno | Parked;

type Args = Record<string, Arg<unknown>>;
export type ArgValues<A extends Args> = { [K in keyof A]: A[K] extends Arg<infer T> ? T : never };

/** One system call: everything about it that is not the object it acts on. */
export interface Syscall {
  readonly name: SyscallName;
  readonly support: Support;
  /** In the order of the registers; at most six. */
  readonly args: readonly { readonly name: string; readonly arg: Arg<unknown> }[];
  /** Decodes the registers and runs the handler. */
  invoke(task: Task, frame: CallFrame): Result;
}

/**
 * Declares a system call.
 * @param args by name, in register order.
 * @param run the handler: the man page, errno by errno. It never blocks; see `kernel/blocking.ts`.
 */
export function syscall<A extends Args>(
  name: SyscallName,
  row: {
    readonly support: Support;
    readonly args: A;
    readonly run: (task: Task, args: ArgValues<A>, frame: CallFrame) => Result;
  },
): Syscall {
  const names = Object.keys(row.args);
  const kinds = Object.values(row.args);
  return {
    name,
    support: row.support,
    args: names.map((argName, i) => ({ name: argName, arg: kinds[i] as Arg<unknown> })),
    invoke(task, frame) {
      const values: Record<string, unknown> = {};
      for (let i = 0; i < kinds.length; i++) {
        const value = (kinds[i] as Arg<unknown>).decode(frame, i);
        if (value instanceof Errno) return value;
        values[names[i] as string] = value;
      }
      return row.run(task, values as ArgValues<A>, frame);
    },
  };
}

/** A pointer to a structure the handler fills in. */
export interface Out<T> {
  /** Whether the pointer is null, which some calls take as "not wanted". */
  readonly isNull: boolean;
  /** Stores the structure. @returns `EFAULT` for a bad address. */
  write(value: T): Errno | undefined;
}
