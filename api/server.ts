import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { checkBody, parseJson } from "./check.ts";
import { converse } from "./conversation.ts";
import type { Engine } from "./engine.ts";
import { ApiError, describeError } from "./errors.ts";
import { commonHeaders } from "./headers.ts";
import { serveUpgrades, streamType, takeConnection } from "./hijack.ts";
import { checkVersion, parseTarget } from "./paths.ts";
import { decodeQuery, type RawQuery } from "./query.ts";
import { allRows } from "./routes.ts";
import type { Answer, Exchange, HijackRow, RouteRow, Row } from "./row.ts";

/** Of a JSON body. */
const BODY_BYTES_MAX = 16 << 20;
/** Of a path segment: names of images and containers, ids of plugins. */
const SEGMENT_LENGTH_MAX = 4096;
const HEADERS_TIMEOUT_MS = 60_000;

export interface ServerOptions {
  readonly engine: Engine;
  /** Told about every fault of ours and every refused request, as fields of a log line. */
  readonly log: (level: "error" | "warn" | "debug", message: string, fields: object) => void;
  /** Throws an {@link ApiError} when a request may not be served; for listeners others can reach. */
  readonly admit?: (request: IncomingMessage) => void;
  /** See {@link import("./hijack.ts").HijackOptions.untilTaken}. */
  readonly untilTaken?: (socket: Socket) => Promise<void>;
}

/** The server, ready to listen on any address. */
export interface ApiServer {
  readonly server: Server;
  /** Stops listening and cuts every connection. */
  close(): Promise<void>;
}

/** The version in a request's path; the path itself is rewritten before anybody else sees it. */
const versions = new WeakMap<IncomingMessage, string>();

/** Builds the Engine API over `engine`. */
export async function buildServer(options: ServerOptions): Promise<ApiServer> {
  const { engine, log } = options;
  const admit = options.admit ?? (() => {});
  const rows = allRows(engine);
  const onFault = (error: unknown) =>
    log("error", (error as Error).message, { stack: (error as Error).stack });
  let server: Server | undefined;
  const app = Fastify({
    serverFactory: (handler) => {
      server = createServer(
        // Clients expect an idle connection to stay, as dockerd leaves it: one that is closed just when it is used
        // again fails a request that must not be repeated.
        { requestTimeout: 0, headersTimeout: HEADERS_TIMEOUT_MS, keepAliveTimeout: 0 },
        handler,
      );
      return server;
    },
    rewriteUrl: (request) => {
      const target = parseTarget(request.method ?? "GET", request.url ?? "/");
      if (target.version !== undefined) {
        versions.set(request as IncomingMessage, target.version);
      }
      return target.url;
    },
    routerOptions: { maxParamLength: SEGMENT_LENGTH_MAX },
    bodyLimit: BODY_BYTES_MAX,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    logger: false,
  });
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(commonHeaders());
    admit(request.raw);
    checkVersion(versions.get(request.raw));
  });
  app.addHook("onRequest", async ({ method, url }) => log("debug", `${method} ${url}`, {}));
  app.setNotFoundHandler(() => {
    throw new ApiError("PAGE_NOT_FOUND");
  });
  app.setErrorHandler((thrown, request, reply) => {
    const type = request.headers["content-type"] ?? "";
    const error = isAboutType(thrown) ? new ApiError("UNSUPPORTED_MEDIA", type) : thrown;
    const { status, message, isFault } = describeError(error);
    if (isFault) onFault(error);
    else log(status >= 500 ? "warn" : "debug", message, { status });
    if (status === 304) return reply.code(status).send();
    // Clients so old do not expect JSON.
    if (error instanceof ApiError && error.code === "VERSION_TOO_OLD") {
      return reply.code(status).type("text/plain; charset=utf-8").send(`${message}\n`);
    }
    return reply
      .code(status)
      .header("Content-Type", "application/json")
      .send(jsonBytes({ message }));
  });
  takeAnyBody(app);
  // Whatever the path: browsers ask before they send something, and are told nothing that would let them.
  app.options("/*", async (_request, reply) => reply.code(200).send());
  for (const row of rows) register(app, row);
  await app.ready();
  if (server === undefined) throw new Error("fastify has made no server");
  serveUpgrades(server, { rows, onFault, admit, untilTaken: options.untilTaken });
  const listening = server;
  // Those that are no HTTP any more as well.
  const connections = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
  return {
    server,
    async close() {
      listening.close();
      for (const socket of connections) socket.destroy();
      await app.close();
    },
  };
}

/** Whether fastify could make nothing of a content type. */
function isAboutType(error: unknown): boolean {
  return (error as { readonly statusCode?: unknown }).statusCode === 415;
}

/** Bytes, because fastify would add a charset to the type of a text, which docker's clients do not take. */
function jsonBytes(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

/** JSON is parsed; any other body is left to the row, unread. */
function takeAnyBody(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "application/json",
    { parseAs: "buffer" },
    async (_request: FastifyRequest, bytes: Buffer) => bytes,
  );
  app.addContentTypeParser("*", (_request, _payload, parsed) => parsed(null, undefined));
}

function register(app: FastifyInstance, row: Row): void {
  if (row.kind === "hijack" && row.over === "websocket") {
    const handler = async (request: FastifyRequest, reply: FastifyReply) => {
      // What is wrong with the request comes first, as with an upgrade.
      await row.open(exchangeOf(row, request, reply.raw));
      throw new ApiError("INVALID", "not a websocket handshake");
    };
    app.route({ method: row.method, url: row.url, handler });
    return;
  }
  if (row.kind === "tunnel") {
    // Upgrades do not come here.
    const handler = ({ headers }: FastifyRequest) => {
      const asked = headers.upgrade?.toLowerCase() ?? row.upgrade;
      const isKnown = asked === row.upgrade;
      return Promise.reject(
        isKnown ? new ApiError("NO_UPGRADE") : new ApiError("UNKNOWN_UPGRADE", asked),
      );
    };
    app.route({ method: row.method, url: row.url, handler });
    return;
  }
  app.route({
    method: row.method,
    url: row.url,
    handler: async (request, reply) => {
      const exchange = exchangeOf(row, request, reply.raw);
      if (row.kind === "route") return send(reply, await row.handle(exchange), row);
      return joinStreams(row, exchange, request, reply);
    },
  });
}

function exchangeOf(row: RouteRow | HijackRow, request: FastifyRequest, response: ServerResponse) {
  const { raw, headers } = request;
  const upload = row.kind === "route" && row.upload;
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
  });
  return {
    params: request.params as Record<string, string>,
    query: decodeQuery(row.query, request.query as RawQuery),
    body: upload ? undefined : bodyOf(row, request),
    // A body that said it was JSON has been read already.
    upload: request.body instanceof Buffer ? Readable.from([request.body]) : raw,
    headers,
    version: checkVersion(versions.get(raw)),
    gone: gone.signal,
  } satisfies Exchange;
}

function bodyOf(row: RouteRow | HijackRow, request: FastifyRequest): unknown {
  if (row.body === undefined) return undefined;
  const type = request.headers["content-type"];
  if (!(request.body instanceof Buffer)) {
    if (type !== undefined && hasBody(request.raw)) throw new ApiError("UNSUPPORTED_MEDIA", type);
    return checkBody(row.body, {});
  }
  return checkBody(row.body, parseJson(request.body));
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

async function send(reply: FastifyReply, answer: Answer, row: Row): Promise<unknown> {
  switch (answer.kind) {
    case "json":
      return reply
        .code(answer.status)
        .header("Content-Type", "application/json")
        .send(jsonBytes(answer.value));
    case "empty":
      return reply
        .code(answer.status)
        .headers(answer.headers ?? {})
        .send();
    case "text":
      return reply
        .code(answer.status)
        .headers(answer.headers ?? {})
        .type("text/plain; charset=utf-8")
        .send(answer.text);
    case "stream": {
      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, {
        ...commonHeaders(),
        "Content-Type": answer.type,
        ...answer.headers,
      });
      // Clients wait for the head before they do what makes the first byte come.
      raw.flushHeaders();
      if (row.method === "HEAD") return raw.end();
      try {
        await pipeline(Readable.from(answer.body, { objectMode: false }), raw);
      } catch {
        // The client went away, or the source broke in the middle: a cut connection says both.
        raw.destroy();
      }
      return undefined;
    }
  }
}

/**
 * A hijack asked for without an upgrade: the reply lasts as long as the process. Its input is the request's body
 * where that is still to come, else what follows on the connection, as after an upgrade.
 */
async function joinStreams(
  row: HijackRow,
  exchange: Exchange,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const answer = await row.open(exchange);
  if (answer.kind !== "streams") return send(reply, answer, row);
  const { tty, detachKeys, begin } = answer;
  const streams = await begin();
  reply.hijack();
  const { raw } = reply;
  const connection = request.raw.complete
    ? takeConnection(request.raw, streamType(true, false))
    : lastingReply(request.raw, raw);
  connection.on("error", () => raw.destroy());
  converse(connection, streams, { framed: !tty, detachKeys });
  return undefined;
}

function lastingReply(request: IncomingMessage, reply: ServerResponse): Duplex {
  reply.useChunkedEncodingByDefault = false;
  reply.shouldKeepAlive = false;
  reply.writeHead(200, { ...commonHeaders(), "Content-Type": streamType(true, false) });
  reply.flushHeaders();
  return Duplex.from({ readable: request, writable: reply });
}
