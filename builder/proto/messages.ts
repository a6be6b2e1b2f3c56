import protobuf from "protobufjs";
import { SCHEMA } from "./schema.ts";

const { root } = protobuf.parse(SCHEMA, { keepCase: true });

/** The fields of a message, by name. Absent ones have proto3's defaults; 64-bit integers are numbers. */
export type Fields = Readonly<Record<string, unknown>>;

/** One kind of message, to bytes and back. */
export interface Codec<T> {
  encode(message: Partial<T>): Uint8Array;
  /** @throws {Error} when the bytes are no such message */
  decode(bytes: Uint8Array): T;
}

const OPTIONS = { longs: Number, bytes: Buffer, defaults: true, arrays: true, objects: true };

/** The codec of a message of {@link SCHEMA}. What is decoded is as the schema says; `T` says it in our words. */
export function codec<T>(name: string): Codec<T> {
  const type = root.lookupType(name);
  return {
    encode: (message) => type.encode(type.fromObject(message as Fields)).finish(),
    decode: (bytes) => type.toObject(type.decode(bytes), OPTIONS) as T,
  };
}

export interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

/** A moment, in milliseconds since the epoch. */
export function timestamp(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
