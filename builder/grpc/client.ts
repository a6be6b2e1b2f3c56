import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import type { Duplex } from "node:stream";
import type { Codec } from "../proto/messages.ts";
import { frame, messages } from "./framing.ts";
import { codeOf, decodeMessage, GrpcError } from "./status.ts";

/** Headers of a call, besides gRPC's own. */
export type CallHeaders = Readonly<Record<string, string | readonly string[]>>;

const WINDOW_BYTES = 1 << 20;

/** A conversation: messages both ways. */
export interface Conversation<Request, Response> {
  /** Resolves when there is room for more. */
  send(message: Partial<Request>): Promise<void>;
  /** Nothing more is sent. */
  end(): void;
  /** @throws {GrpcError} when the call ends with another status than OK */
  responses(): AsyncGenerator<Response, void, void>;
  /** Gives up. */
  cancel(): void;
}

/** Calls methods of the server at the other end of a connection. */
export class GrpcClient {
  readonly #session: ClientHttp2Session;

  constructor(connection: Duplex) {
    this.#session = connect("http://localhost", {
      createConnection: () => connection,
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    });
    this.#session.on("error", () => this.#session.destroy());
  }

  /** Calls back once, when the connection has ended. */
  onClose(callback: () => void): void {
    if (this.#session.destroyed) callback();
    else this.#session.once("close", callback);
  }

  close(): void {
    this.#session.destroy();
  }

  async unary<Request, Response>(
    path: string,
    request: Codec<Request>,
    response: Codec<Response>,
    message: Partial<Request>,
  ): Promise<Response> {
    const call = this.stream(path, request, response, {});
    await call.send(message);
    call.end();
    for await (const answer of call.responses()) return answer;
    throw new GrpcError("INTERNAL", `${path} answered nothing`);
  }

  stream<Request, Response>(
    path: string,
    request: Codec<Request>,
    response: Codec<Response>,
    headers: CallHeaders,
  ): Conversation<Request, Response> {
    if (this.#session.destroyed || this.#session.closed) {
      throw new GrpcError("UNAVAILABLE", "no active session: the client has gone");
    }
    const stream = this.#session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...(headers as Record<string, string | string[]>),
    });
    const end = ending(stream);
    end.catch(() => undefined); // looked at when the responses are
    return {
      send: async (message) => {
        if (stream.destroyed || stream.closed) return;
        if (stream.write(frame(request.encode(message)))) return;
        await new Promise<void>((resolve) => {
          stream.once("drain", resolve);
          stream.once("close", resolve);
        });
      },
      end: () => stream.end(),
      cancel: () => stream.close(),
      async *responses() {
        try {
          for await (const bytes of messages(stream)) yield response.decode(bytes);
        } catch (error) {
          // What the server says is better than that the stream broke.
          await end;
          throw error;
        }
        await end;
      },
    };
  }
}

/** Resolves when the call has ended with OK. */
function ending(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    const judge = (headers: Readonly<Record<string, unknown>>) => {
      const status = headers["grpc-status"];
      if (status === undefined) return;
      if (status === "0") resolve();
      else {
        const text = decodeMessage(String(headers["grpc-message"] ?? ""));
        reject(new GrpcError(codeOf(Number(status)), text));
      }
    };
    stream.on("response", judge);
    stream.on("trailers", judge);
    stream.on("error", () => stream.close());
    stream.on("close", () => reject(new GrpcError("UNAVAILABLE", "the client has ended the call")));
  });
}
