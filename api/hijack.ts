/**
 * Connections that stop being HTTP: attach, exec, build sessions. Node hands every request with an `Upgrade`
 * header to the server's "upgrade" event, past fastify, with the request's body still unread in the
 * connection; so there is a router here, over the same rows.
 */
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createWebSocketStream, WebSocketServer } from "ws";
import { checkBody, parseJson } from "./check.ts";
import { converse } from "./conversation.ts";
import { ApiError, describeError } from "./errors.ts";
import { commonHeaders } from "./headers.ts";
import { frame, STDOUT } from "./multiplex.ts";
import { checkVersion, parseTarget } from "./paths.ts";
import { decodeQuery, type RawQuery } from "./query.ts";
import type {
  Answer,
  Exchange,
  HijackAnswer,
  HijackRow,
  ProcessStreams,
  Row,
  TunnelRow,
} from "./row.ts";
import { atLeast } from "./version.ts";

const BODY_BYTES_MAX = 1 << 20;
const MESSAGE_BYTES_MAX = 16 << 20;

type UpgradeRow = HijackRow | TunnelRow;

export interface HijackOptions {
  readonly rows: readonly Row[];
  /** Told about faults of ours. */
  readonly onFault: (error: unknown) => void;
  /**
   * Waits until the client has read what was written. Some clients (docker-py) read the head with a buffer
   * that they then throw away: the first byte of a stream must not come before they have done so.
   */
  readonly untilTaken?: ((socket: Socket) => Promise<void>) | undefined;
  /** Throws when this client may not be served. */
  readonly admit: (request: IncomingMessage) => void;
}

/** Takes over the requests of `server` that ask for another protocol. */
export function serveUpgrades(
  server: Server,
  { rows, onFault, admit, untilTaken }: HijackOptions,
): void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX });
  const table = rows
    .filter((row) => row.kind !== "route")
    .map((row) => ({ row: row as UpgradeRow, pattern: patternOf(row.url) }));
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    socket.setNoDelay(true);
    serve(request, socket, head).catch((error: unknown) => {
      const { isFault } = describeError(error);
      if (isFault) onFault(error);
      refuse(socket, error);
    });
  });

  async function serve(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    admit(request);
    const { method = "GET", headers } = request;
    const { url, version: wanted } = parseTarget(method, request.url ?? "/");
    const version = checkVersion(wanted);
    const { pathname, query } = splitUrl(url);
    const upgrade = (headers.upgrade ?? "").toLowerCase();
    for (const { row, pattern } of table) {
      const match = row.method === method ? pattern.exec(pathname) : null;
      if (match === null) continue;
      if (protocolOf(row) !== upgrade) {
        if (row.kind === "tunnel") throw new ApiError("UNKNOWN_UPGRADE", upgrade);
        continue;
      }
      // What follows a tunnel's request is the other protocol, whatever the request says of a body.
      if (row.kind === "tunnel") socket.unshift(head);
      const body =
        row.kind === "tunnel" ? undefined : parseJson(await readBody(request, socket, head));
      const gone = new AbortController();
      socket.once("close", () => gone.abort());
      const exchange: Exchange = {
        params: decodeParams(match.groups ?? {}),
        query: decodeQuery(row.query, query),
        body: checkBody(row.body, body),
        upload: socket,
        headers,
        version,
        gone: gone.signal,
      };
      if (row.kind === "tunnel") {
        socket.write(switching(`Connection: Upgrade\r\nUpgrade: ${row.upgrade}\r\n`));
        row.take(exchange, socket);
      } else if (row.over === "websocket") {
        await overWebSocket(row, exchange, request, socket);
      } else {
        await overTcp(row, exchange, socket);
      }
      return;
    }
    throw new ApiError("PAGE_NOT_FOUND");
  }

  async function overTcp(row: HijackRow, exchange: Exchange, socket: Socket): Promise<void> {
    const answer = await row.open(exchange);
    if (answer.kind !== "streams") {
      answerRaw(socket, answer);
      return;
    }
    const type = streamType(answer.tty, atLeast(exchange.version, "1.42"));
    socket.write(switching(`Content-Type: ${type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n`));
    await untilTaken?.(socket);
    await begin(answer, socket, !answer.tty);
  }

  /** Once the protocol is switched, what goes wrong can only be told in the stream. */
  async function begin(
    { begin: join, detachKeys }: HijackAnswer & { kind: "streams" },
    connection: Duplex,
    framed: boolean,
  ): Promise<void> {
    let streams: ProcessStreams;
    try {
      streams = await join();
    } catch (error) {
      const { message, isFault } = describeError(error);
      if (isFault) onFault(error);
      const bytes = Buffer.from(`${message}\r\n`);
      connection.end(framed ? frame(STDOUT, bytes) : bytes);
      return;
    }
    converse(connection, streams, { framed, detachKeys });
  }

  async function overWebSocket(
    row: HijackRow,
    exchange: Exchange,
    request: IncomingMessage,
    socket: Socket,
  ): Promise<void> {
    const answer = await row.open(exchange);
    if (answer.kind !== "streams") {
      answerRaw(socket, answer);
      return;
    }
    sockets.handleUpgrade(request, socket, Buffer.alloc(0), (connection) => {
      const duplex = createWebSocketStream(connection, { allowHalfOpen: true });
      duplex.on("error", () => duplex.destroy());
      void begin(answer, duplex, false);
    });
  }
}

/**
 * Takes the connection of a request that has been read whole and asks for no other protocol, as docker does where
 * the answer is a stream: what the client sends from now on is for the stream, no further request.
 */
export function takeConnection({ socket }: IncomingMessage, type: string): Socket {
  // A listener makes Node hand over what arrives; its parser, which listens too, is then left out.
  socket.on("data", () => {});
  for (const event of ["data", "end", "drain"]) socket.removeAllListeners(event);
  socket.setNoDelay(true);
  socket.write(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n${headerLines()}\r\n`);
  return socket;
}

/** What docker calls the stream that follows. */
export function streamType(tty: boolean, knowsFrames: boolean): string {
  return tty || !knowsFrames
    ? "application/vnd.docker.raw-stream"
    : "application/vnd.docker.multiplexed-stream";
}

function protocolOf(row: UpgradeRow): string {
  return row.kind === "tunnel" ? row.upgrade : row.over;
}

/** `/containers/:id/attach` as an expression with named groups. */
function patternOf(url: string): RegExp {
  return new RegExp(`^${url.replaceAll(/:(\w+)/g, "(?<$1>[^/]+)")}$`);
}

function decodeParams(groups: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(groups).map(([name, value]) => {
      try {
        return [name, decodeURIComponent(value)];
      } catch {
        throw new ApiError("INVALID", `malformed path: ${value}`);
      }
    }),
  );
}

function splitUrl(url: string): { pathname: string; query: RawQuery } {
  const mark = url.indexOf("?");
  const pathname = mark < 0 ? url : url.slice(0, mark);
  const query: Record<string, string[]> = Object.create(null);
  for (const [name, value] of new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1))) {
    query[name] ??= [];
    query[name]?.push(value);
  }
  return { pathname, query };
}

/** The request's body, of which `head` has the beginning; what comes after it is put back. */
async function readBody(request: IncomingMessage, socket: Socket, head: Buffer): Promise<Buffer> {
  const length = Number(request.headers["content-length"] ?? 0);
  if (request.headers["transfer-encoding"] !== undefined || !Number.isSafeInteger(length)) {
    throw new ApiError("INVALID", "an upgrade with a body needs its length");
  }
  if (length > BODY_BYTES_MAX) throw new ApiError("BODY_TOO_LARGE");
  let bytes: Buffer = head;
  while (bytes.length < length) {
    const chunk = await nextChunk(socket);
    if (chunk === undefined) throw new ApiError("INVALID", "the body is shorter than its length");
    bytes = Buffer.concat([bytes, chunk]);
  }
  if (bytes.length > length) socket.unshift(bytes.subarray(length));
  return bytes.subarray(0, length);
}

function nextChunk(socket: Socket): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const settle = (chunk?: Buffer) => {
      socket.pause();
      socket.off("data", settle).off("end", settle).off("close", settle);
      resolve(chunk instanceof Buffer ? chunk : undefined);
    };
    socket.on("data", settle).on("end", settle).on("close", settle);
    socket.resume();
  });
}

function switching(headers: string): string {
  return `HTTP/1.1 101 UPGRADED\r\n${headers}${headerLines()}\r\n`;
}

function headerLines(): string {
  return Object.entries(commonHeaders())
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  204: "No Content",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  500: "Internal Server Error",
};

function answerRaw(socket: Duplex, answer: Answer): void {
  const body =
    answer.kind === "json"
      ? `${JSON.stringify(answer.value)}\n`
      : answer.kind === "text"
        ? answer.text
        : "";
  const status = answer.kind === "stream" ? 200 : answer.status;
  const type = answer.kind === "json" ? "application/json" : "text/plain; charset=utf-8";
  socket.end(
    `HTTP/1.1 ${status} ${REASONS[status] ?? "Error"}\r\nContent-Type: ${type}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n${headerLines()}\r\n${body}`,
  );
}

function refuse(socket: Socket, error: unknown): void {
  if (socket.destroyed) return;
  const { status, message } = describeError(error);
  answerRaw(socket, { kind: "json", status, value: { message } });
}
