import type { IncomingHttpHeaders } from "node:http";
import type { Duplex, Readable, Writable } from "node:stream";
import type { Static, TSchema } from "@sinclair/typebox";
import type { ApiVersion } from "./version.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS";

/** A request as a row's handler sees it: everything checked. */
export interface Exchange<Query = unknown, Body = unknown> {
  /** Of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  /** Of a row with `upload`: the bytes of the body. The row need not read them. */
  readonly upload: Readable;
  readonly headers: IncomingHttpHeaders;
  /** What the client speaks; the newest where the path has none. */
  readonly version: ApiVersion;
  /** Aborted when the client has gone away before the answer's end. */
  readonly gone: AbortSignal;
}

/** What a handler answers. */
export type Answer =
  | { readonly kind: "json"; readonly status: number; readonly value: unknown }
  | { readonly kind: "empty"; readonly status: number; readonly headers?: AnswerHeaders }
  | {
      readonly kind: "text";
      readonly status: number;
      readonly text: string;
      readonly headers?: AnswerHeaders;
    }
  | {
      readonly kind: "stream";
      readonly type: string;
      readonly headers?: AnswerHeaders;
      /** Its end ends the answer; an error in it cuts the answer off. */
      readonly body: AsyncIterable<Uint8Array>;
    };

export type AnswerHeaders = Readonly<Record<string, string>>;

interface RowBase {
  readonly method: Method;
  /** Like `/containers/:id/json`, without a version. */
  readonly url: string;
  /** One sentence for the description of the API. */
  readonly summary: string;
  readonly query?: TSchema;
  readonly body?: TSchema;
}

/** A route that answers. */
export interface RouteRow extends RowBase {
  readonly kind: "route";
  /** The body is bytes, not JSON. */
  readonly upload: boolean;
  readonly handle: (exchange: Exchange) => Answer | Promise<Answer>;
}

/** The streams of a process, as a client is joined with them. */
export interface ProcessStreams {
  /** Absent: the client's bytes are dropped. Its end is the process's end of file. */
  readonly stdin: Writable | undefined;
  /** With a terminal: everything. The end of both outputs ends the conversation. */
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  /** Bytes are not to be framed. */
  readonly tty: boolean;
  /** Settles with the process's end; for a conversation without outputs. */
  readonly ended?: Promise<unknown>;
  /** Leaves; the process goes on. Called once, however the conversation ended. */
  close(): void;
}

/** A route that takes the connection over for a process's streams. */
export interface HijackRow extends RowBase {
  readonly kind: "hijack";
  /** How the client asks: plain bytes, or messages of a web socket. */
  readonly over: "tcp" | "websocket";
  /** An {@link Answer} instead of streams is given as one. */
  readonly open: (exchange: Exchange) => Promise<HijackAnswer>;
}

export type HijackAnswer =
  | {
      readonly kind: "streams";
      /** Bytes are not to be framed. */
      readonly tty: boolean;
      /** See detach-keys.ts. */
      readonly detachKeys: string | undefined;
      /** Joins the streams; called when the client has been told that they follow. */
      readonly begin: () => Promise<ProcessStreams>;
    }
  | Answer;

/** A route that takes the connection over for another protocol. */
export interface TunnelRow extends RowBase {
  readonly kind: "tunnel";
  /** Value of the `Upgrade` header, in lower case. */
  readonly upgrade: string;
  /** Gets the connection once the client has been told that the protocol is switched. */
  readonly take: (exchange: Exchange, connection: Duplex) => void;
}

export type Row = RouteRow | HijackRow | TunnelRow;

type Typed<R extends Row, Function extends keyof R, Q extends TSchema, B extends TSchema> = Omit<
  R,
  "kind" | "upload" | "query" | "body" | Function
> & {
  readonly query?: Q;
  readonly body?: B;
};
type Handler<Q extends TSchema, B extends TSchema, Result> = (
  exchange: Exchange<Static<Q>, Static<B>>,
) => Result;

/** A row whose handler is given what the row's schemas say. */
export function route<Q extends TSchema, B extends TSchema>(
  row: Typed<RouteRow, "handle", Q, B> & {
    readonly upload?: boolean;
    readonly handle: Handler<Q, B, Answer | Promise<Answer>>;
  },
): RouteRow {
  return { kind: "route", upload: false, ...row } as unknown as RouteRow;
}

export function hijack<Q extends TSchema, B extends TSchema>(
  row: Typed<HijackRow, "open", Q, B> & { readonly open: Handler<Q, B, Promise<HijackAnswer>> },
): HijackRow {
  return { kind: "hijack", ...row } as unknown as HijackRow;
}

export function tunnel<Q extends TSchema, B extends TSchema>(
  row: Typed<TunnelRow, "take", Q, B> & {
    readonly take: (exchange: Exchange<Static<Q>, Static<B>>, connection: Duplex) => void;
  },
): TunnelRow {
  return { kind: "tunnel", ...row } as unknown as TunnelRow;
}

export const json = (value: unknown, status = 200): Answer => ({ kind: "json", status, value });
export const created = (value: unknown): Answer => ({ kind: "json", status: 201, value });
export const done = (status = 204): Answer => ({ kind: "empty", status });
export const text = (value: string): Answer => ({ kind: "text", status: 200, text: value });
