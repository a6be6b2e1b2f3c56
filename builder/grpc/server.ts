import {
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import type { Codec } from "../proto/messages.ts";
import { frame, messages } from "./framing.ts";
import { encodeMessage, GrpcError } from "./status.ts";

/** A call that a client makes. */
export interface Call<Request> {
  readonly request: Request;
  readonly headers: IncomingHttpHeaders;
  /** Aborted when the client has given up. */
  readonly signal: AbortSignal;
}

/** A method of a service. */
export interface Method {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly answer: (
    requests: AsyncGenerator<Uint8Array, void, void>,
    call: Call<undefined>,
  ) => AsyncIterable<Uint8Array>;
}

/** A method with one response. */
export function unary<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
  handle: (call: Call<Request>) => Promise<Partial<Response>>,
): Method {
  return serverStream(path, request, response, async function* (call) {
    yield await handle(call);
  });
}

/** A method with a stream of responses. */
export function serverStream<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
  handle: (call: Call<Request>) => AsyncIterable<Partial<Response>>,
): Method {
  return {
    path,
    async *answer(requests, call) {
      const next = await requests.next();
      const decoded = decode(request, next.done === true ? new Uint8Array() : next.value);
      for await (const message of handle({ ...call, request: decoded })) {
        yield response.encode(message);
      }
    },
  };
}

/** A method with streams of requests and of responses. */
export function conversation<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
  handle: (
    requests: AsyncIterable<Request>,
    call: Call<undefined>,
  ) => AsyncIterable<Partial<Response>>,
): Method {
  return {
    path,
    async *answer(requests, call) {
      const decoded = async function* () {
        for await (const bytes of requests) yield decode(request, bytes);
      };
      for await (const message of handle(decoded(), call)) yield response.encode(message);
    },
  };
}

function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  try {
    return codec.decode(bytes);
  } catch (error) {
    throw new GrpcError("INVALID_ARGUMENT", (error as Error).message);
  }
}

/** What an error becomes for the client. */
export type DescribeError = (error: unknown) => GrpcError;

const STREAMS_MAX = 256;
const WINDOW_BYTES = 1 << 20;

/** Serves methods to the client at the other end of a connection, until that ends. */
export function serveGrpc(
  connection: Duplex,
  methods: readonly Method[],
  describe: DescribeError,
): ServerHttp2Session {
  const table = new Map(methods.map((method) => [method.path, method]));
  const session = performServerHandshake(connection, {
    settings: { maxConcurrentStreams: STREAMS_MAX, initialWindowSize: WINDOW_BYTES },
  });
  session.on("error", () => session.destroy());
  session.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on("error", () => stream.close());
    serve(stream, headers, table, describe).catch(() => stream.close());
  });
  return session;
}

async function serve(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  table: ReadonlyMap<string, Method>,
  describe: DescribeError,
): Promise<void> {
  const gone = new AbortController();
  stream.on("close", () => gone.abort());
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  let failure: GrpcError | undefined;
  stream.on("wantTrailers", () => stream.sendTrailers(trailersOf(failure)));
  try {
    const path = String(headers[":path"]);
    const method = table.get(path);
    if (method === undefined) {
      throw new GrpcError("UNIMPLEMENTED", `unknown method ${path.slice(0, 200)}`);
    }
    const call = { request: undefined, headers, signal: gone.signal };
    for await (const response of method.answer(messages(stream), call)) {
      if (gone.signal.aborted) return;
      if (!stream.write(frame(response))) await drained(stream);
    }
  } catch (error) {
    failure = describe(error);
  }
  stream.end();
}

function drained(stream: ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    stream.once("drain", resolve);
    stream.once("close", resolve);
  });
}

function trailersOf(failure: GrpcError | undefined): Record<string, string> {
  if (failure === undefined) return { "grpc-status": "0" };
  const details = failure.details;
  return {
    "grpc-status": String(failure.number),
    "grpc-message": encodeMessage(failure.message),
    ...(details === undefined
      ? {}
      : { "grpc-status-details-bin": Buffer.from(details).toString("base64") }),
  };
}
