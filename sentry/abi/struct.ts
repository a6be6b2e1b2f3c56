/**
 * C structures as declarations: `struct({ sec: i64, nsec: i64 })` knows offsets and size by the rules both
 * guest instruction sets share (natural alignment, little-endian) and encodes and decodes plain objects.
 */

/** How one field is laid out and converted. */
export interface Field<T> {
  readonly size: number;
  readonly align: number;
  decode(view: DataView, offset: number): T;
  encode(view: DataView, offset: number, value: T): void;
}

/** A declared structure; itself usable as a field of another. */
export interface Struct<T> extends Field<T> {
  readonly offsets: { readonly [K in keyof T]: number };
  /** @param bytes at least `size` bytes. */
  parse(bytes: Uint8Array): T;
  /** @returns exactly `size` bytes, padding zeroed. */
  bytes(value: T): Uint8Array;
}

type Fields = Record<string, Field<unknown>>;
type Values<F extends Fields> = { [K in keyof F]: F[K] extends Field<infer T> ? T : never };

function scalar<T>(
  size: number,
  decode: (view: DataView, offset: number) => T,
  encode: (view: DataView, offset: number, value: T) => void,
): Field<T> {
  return { size, align: size, decode, encode };
}

export const u8: Field<number> = scalar(
  1,
  (view, at) => view.getUint8(at),
  (view, at, value) => view.setUint8(at, value),
);
export const u16: Field<number> = scalar(
  2,
  (view, at) => view.getUint16(at, true),
  (view, at, value) => view.setUint16(at, value, true),
);
/** A number in network byte order: ports. */
export const be16: Field<number> = scalar(
  2,
  (view, at) => view.getUint16(at, false),
  (view, at, value) => view.setUint16(at, value, false),
);
export const i16: Field<number> = scalar(
  2,
  (view, at) => view.getInt16(at, true),
  (view, at, value) => view.setInt16(at, value, true),
);
export const u32: Field<number> = scalar(
  4,
  (view, at) => view.getUint32(at, true),
  (view, at, value) => view.setUint32(at, value, true),
);
export const i32: Field<number> = scalar(
  4,
  (view, at) => view.getInt32(at, true),
  (view, at, value) => view.setInt32(at, value, true),
);
/** A signed 64-bit number as a JavaScript number; values beyond 2^53 lose their low bits. */
export const i64: Field<number> = scalar(
  8,
  (view, at) => Number(view.getBigInt64(at, true)),
  (view, at, value) => view.setBigInt64(at, BigInt(value), true),
);
/** An unsigned 64-bit number as a JavaScript number; values beyond 2^53 lose their low bits. */
export const u64: Field<number> = scalar(
  8,
  (view, at) => Number(view.getBigUint64(at, true)),
  (view, at, value) => view.setBigUint64(at, BigInt(value), true),
);
/** 64 bits exactly: masks, cookies, nanoseconds. */
export const big64: Field<bigint> = scalar(
  8,
  (view, at) => view.getBigUint64(at, true),
  (view, at, value) => view.setBigUint64(at, BigInt.asUintN(64, value), true),
);

/** `count` raw bytes, such as a path or a reserved area. Shorter values are zero-padded. */
export function bytes(count: number): Field<Uint8Array> {
  return {
    size: count,
    align: 1,
    decode: (view, at) =>
      new Uint8Array(view.buffer.slice(view.byteOffset + at, view.byteOffset + at + count)),
    encode: (view, at, value) =>
      new Uint8Array(view.buffer, view.byteOffset + at, count).set(value.subarray(0, count)),
  };
}

/** A fixed array of `count` elements. */
export function array<T>(element: Field<T>, count: number): Field<readonly T[]> {
  return {
    size: element.size * count,
    align: element.align,
    decode: (view, at) =>
      Array.from({ length: count }, (_, i) => element.decode(view, at + i * element.size)),
    encode: (view, at, values) => {
      for (let i = 0; i < count; i++) {
        const value = values[i];
        if (value !== undefined) element.encode(view, at + i * element.size, value);
      }
    },
  };
}

/** Declares a structure with the fields in the order of the C declaration. */
export function struct<F extends Fields>(fields: F): Struct<Values<F>> {
  type T = Values<F>;
  const entries = Object.entries(fields) as [keyof T & string, Field<unknown>][];
  const offsets: Record<string, number> = {};
  let end = 0;
  let align = 1;
  for (const [name, field] of entries) {
    const at = Math.ceil(end / field.align) * field.align;
    offsets[name] = at;
    end = at + field.size;
    align = Math.max(align, field.align);
  }
  const size = Math.ceil(end / align) * align;
  const decode = (view: DataView, offset: number): T => {
    const value: Record<string, unknown> = {};
    for (const [name, field] of entries) {
      value[name] = field.decode(view, offset + (offsets[name] as number));
    }
    return value as T;
  };
  const encode = (view: DataView, offset: number, value: T): void => {
    for (const [name, field] of entries) {
      field.encode(view, offset + (offsets[name] as number), value[name]);
    }
  };
  return {
    size,
    align,
    offsets: offsets as { readonly [K in keyof T]: number },
    decode,
    encode,
    parse: (source) => decode(new DataView(source.buffer, source.byteOffset, source.byteLength), 0),
    bytes: (value) => {
      const out = new Uint8Array(size);
      encode(new DataView(out.buffer), 0, value);
      return out;
    },
  };
}
