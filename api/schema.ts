/**
 * Pieces of the schemas of bodies and queries. They are as tolerant as docker's decoder: every member may be
 * missing or null, members nobody knows are ignored; but a number is no string.
 */
import { type Static, type TProperties, type TSchema, Type } from "@sinclair/typebox";

/** Elements of one list, members of one map. */
const ELEMENTS_MAX = 65_536;

const orNull = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

/** Members a body may have. */
export const members = <P extends TProperties>(properties: P) =>
  Type.Object(properties, { additionalProperties: true });
export const text = () => orNull(Type.String());
export const flag = () => orNull(Type.Boolean());
/** An integer that JavaScript can hold exactly. */
export const integer = () =>
  orNull(Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }));
export const texts = () => orNull(Type.Array(Type.String(), { maxItems: ELEMENTS_MAX }));
/** Docker's `StrSlice`: a word may stand for a list of one. */
export const words = () =>
  orNull(Type.Union([Type.Array(Type.String(), { maxItems: ELEMENTS_MAX }), Type.String()]));
export const list = <T extends TSchema>(element: T) =>
  orNull(Type.Array(element, { maxItems: ELEMENTS_MAX }));
/** An object whose keys are the client's. */
export const map = <T extends TSchema>(value: T) =>
  orNull(Type.Record(Type.String(), Type.Union([value, Type.Null()])));
/** A set, as Go's JSON has it: `{"a": {}}`. */
export const set = () => orNull(Type.Record(Type.String(), Type.Unknown()));
/** A member that is itself an object. */
export const part = <P extends TProperties>(properties: P) => orNull(members(properties));
/** What is kept as it is, or ignored. */
export const anything = () => Type.Optional(Type.Unknown());

/**
 * The schema of a query. Members are made with the functions of {@link query}; all are optional.
 */
export const queryOf = <P extends TProperties>(properties: P) => Type.Object(properties);

/** Members of a query, each read from text as docker reads it; see query.ts. */
export const query = {
  text: (description: string) => Type.Optional(Type.String({ description })),
  /** Everything but an empty word, `0`, `no`, `false` and `none` is true. */
  flag: (description: string) => Type.Optional(Type.Boolean({ description })),
  integer: (description: string) => Type.Optional(Type.Integer({ description })),
  /** May be given several times. */
  texts: (description: string) => Type.Optional(Type.Array(Type.String(), { description })),
  /** JSON in either of its forms; read with filters.ts. */
  filters: () =>
    Type.Optional(
      Type.String({
        description: "Filters as JSON: a map of names to lists, or to sets of values",
      }),
    ),
} as const;

/** Whatever a type of TypeBox's says. */
export type Of<T extends TSchema> = Static<T>;
