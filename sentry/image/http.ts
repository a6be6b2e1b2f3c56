import * as http from "node:http";
import * as https from "node:https";
import { ImageError } from "./errors.ts";

/** Redirects followed for one request. */
const REDIRECTS_MAX = 5;
/** A sender that gives fewer bytes than this in the time for a stall has stalled. */
const STALL_BYTES_MIN = 4096;
/** Some registries refuse clients that do not say what they are. */
const USER_AGENT = "dd";
export const STALL_MS = 30_000;

export interface HttpResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** The bytes of the answer; stops with REGISTRY_STALLED or REGISTRY_UNREACHABLE. Read it or `discard`. */
  readonly body: AsyncIterable<Uint8Array>;
  discard(): void;
}

export interface HttpRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * GET requests for a registry: connections are kept, redirects followed by our own rules, and no
 * answer is waited for longer than `stallMs`.
 */
export class HttpClient {
  readonly #stallMs: number;
  readonly #plainAllowed: (url: URL) => boolean;
  readonly #agents = {
    "http:": new http.Agent({ keepAlive: true }),
    "https:": new https.Agent({ keepAlive: true }),
  };

  /** @param plainAllowed which hosts may be reached without TLS */
  constructor(stallMs: number, plainAllowed: (url: URL) => boolean) {
    this.#stallMs = stallMs;
    this.#plainAllowed = plainAllowed;
  }

  /**
   * One GET. The header `authorization` goes to the first host only.
   * @throws {ImageError} REGISTRY_UNREACHABLE, REGISTRY_STALLED, REGISTRY_INSECURE, REGISTRY_PROTOCOL
   */
  async get(url: URL, request: HttpRequest): Promise<HttpResponse> {
    let here = url;
    let headers = request.headers;
    for (let hops = 0; hops <= REDIRECTS_MAX; hops++) {
      const response = await this.#once(here, { ...request, headers });
      const { location } = response.headers;
      if (response.status < 301 || response.status > 308 || location === undefined) return response;
      response.discard();
      const next = parseUrl(location, here);
      if (here.protocol === "https:" && next.protocol !== "https:") {
        throw new ImageError("REGISTRY_INSECURE", `${here.host} redirects to ${next.origin}`);
      }
      if (next.origin !== here.origin) {
        const { authorization: _, ...rest } = headers;
        headers = rest;
      }
      here = next;
    }
    throw new ImageError(
      "REGISTRY_PROTOCOL",
      `${url.host} redirects more than ${REDIRECTS_MAX} times`,
    );
  }

  close(): void {
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  #once(url: URL, { headers, signal }: HttpRequest): Promise<HttpResponse> {
    const { protocol } = url;
    if (protocol !== "https:" && (protocol !== "http:" || !this.#plainAllowed(url))) {
      throw new ImageError("REGISTRY_INSECURE", url.origin);
    }
    const { get } = protocol === "https:" ? https : http;
    return new Promise((resolve, reject) => {
      const request = get(url, {
        headers: { "user-agent": USER_AGENT, ...headers },
        agent: this.#agents[protocol],
        timeout: this.#stallMs,
      });
      const abort = (): void => {
        request.destroy(new ImageError("ABORTED"));
      };
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort, { once: true });
      request.on("timeout", () => request.destroy(new ImageError("REGISTRY_STALLED", url.host)));
      request.on("close", () => signal?.removeEventListener("abort", abort));
      request.on("error", (error) => reject(connectionError(error, url)));
      request.on("response", (message) => {
        request.setTimeout(0); // from here on, only waiting counts: see #read
        resolve({
          status: message.statusCode ?? 0,
          headers: message.headers,
          body: { [Symbol.asyncIterator]: () => this.#read(message, url, signal) },
          discard: () => message.destroy(),
        });
      });
    });
  }

  /** The body of an answer. Only the time spent waiting for it counts, not what its reader takes. */
  async *#read(
    message: http.IncomingMessage,
    url: URL,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, void> {
    const chunks = message[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    let waitedMs = 0;
    let bytes = 0;
    try {
      for (;;) {
        const since = performance.now();
        const timer = setTimeout(
          () => message.destroy(new ImageError("REGISTRY_STALLED", url.host)),
          Math.max(1, this.#stallMs - waitedMs),
        );
        const next = await chunks.next().finally(() => clearTimeout(timer));
        if (next.done) return;
        waitedMs += performance.now() - since;
        bytes += next.value.length;
        if (bytes >= STALL_BYTES_MIN) {
          waitedMs = 0;
          bytes = 0;
        }
        yield next.value;
      }
    } catch (error) {
      throw signal?.aborted ? new ImageError("ABORTED") : connectionError(error, url);
    } finally {
      message.destroy();
    }
  }
}

/** @throws {ImageError} REGISTRY_PROTOCOL */
export function parseUrl(text: string, base?: URL): URL {
  try {
    return new URL(text, base);
  } catch {
    throw new ImageError(
      "REGISTRY_PROTOCOL",
      `${JSON.stringify(text.slice(0, 120))} is no address`,
    );
  }
}

/** All bytes of a body that must not have more than `max`. */
export async function readBody(response: HttpResponse, max: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.length;
    if (length > max) throw new ImageError("REGISTRY_PROTOCOL", `an answer of over ${max} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

function connectionError(error: unknown, url: URL): unknown {
  if (error instanceof ImageError || !(error instanceof Error)) return error;
  const code = "code" in error ? String(error.code) : "";
  const kind = code.startsWith("HPE_") ? "REGISTRY_PROTOCOL" : "REGISTRY_UNREACHABLE";
  return new ImageError(kind, `${url.host}: ${error.message || code}`, { cause: error });
}

/** Whether a host name means this machine. */
export function isLoopback({ hostname }: URL): boolean {
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    /^127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$/.test(hostname)
  );
}
