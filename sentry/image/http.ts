import { once } from "node:events";
import * as http from "node:http";
import * as https from "node:https";
import * as tls from "node:tls";
import { ImageError, type ImageErrorCode } from "./errors.ts";
import { parseUrl } from "./http-address.ts";
import { proxyAuthorization, proxyFor, TunnelAgent } from "./proxy.ts";
import {
  hostCertificates,
  isInsecure,
  type RegistrySettings,
  systemRoots,
} from "./registry-settings.ts";

/** Redirects followed for one request. */
const REDIRECTS_MAX = 5;
/** A sender that gives fewer bytes than this in the time for a stall has stalled. */
const STALL_BYTES_MIN = 4096;
/** Some registries refuse clients that do not say what they are. */
const USER_AGENT = "dd";
export const STALL_MS = 30_000;
/** How many times longer a registry may think about what it was sent: it moves blobs around then. */
const UPLOAD_PATIENCE = 10;

export interface HttpResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** The bytes of the answer; stops with REGISTRY_STALLED or REGISTRY_UNREACHABLE. Read it or `discard`. */
  readonly body: AsyncIterable<Uint8Array>;
  discard(): void;
}

export interface HttpRequest {
  /** Default GET. Only GET and HEAD are redirected. */
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Requests to a registry: connections are kept, certificates and proxies are as the settings say, redirects
 * follow our own rules, and no answer is waited for longer than `stallMs`.
 */
export class HttpClient {
  readonly #stallMs: number;
  readonly #settings: RegistrySettings;
  readonly #agents = new Map<string, http.Agent>();
  readonly #tls = new Map<string, https.RequestOptions>();

  constructor(stallMs: number, settings: RegistrySettings) {
    this.#stallMs = stallMs;
    this.#settings = settings;
  }

  /**
   * One request. The header `authorization` goes to the first host only.
   * @throws {ImageError} REGISTRY_UNREACHABLE, REGISTRY_STALLED, REGISTRY_INSECURE, REGISTRY_PROTOCOL
   */
  async send(url: URL, request: HttpRequest): Promise<HttpResponse> {
    const { method = "GET" } = request;
    let here = url;
    let headers = request.headers;
    for (let hops = 0; hops <= REDIRECTS_MAX; hops++) {
      const response = await this.#once(here, { ...request, headers });
      const { location } = response.headers;
      const redirected = response.status >= 301 && response.status <= 308;
      if (!redirected || location === undefined || (method !== "GET" && method !== "HEAD")) {
        return response;
      }
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
    for (const agent of this.#agents.values()) agent.destroy();
  }

  #once(url: URL, { method = "GET", headers, body, signal }: HttpRequest): Promise<HttpResponse> {
    const { protocol } = url;
    if (protocol !== "https:" && (protocol !== "http:" || !isInsecure(this.#settings, url))) {
      throw new ImageError("REGISTRY_INSECURE", url.origin);
    }
    const stallMs = body === undefined ? this.#stallMs : this.#stallMs * UPLOAD_PATIENCE;
    return new Promise((resolve, reject) => {
      const request = this.#request(url, { "user-agent": USER_AGENT, ...headers }, method, stallMs);
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
          discard: () => (method === "HEAD" ? message.resume() : message.destroy()),
        });
      });
      write(request, body).catch((error: unknown) => {
        request.destroy();
        reject(error);
      });
    });
  }

  #request(
    url: URL,
    headers: Readonly<Record<string, string>>,
    method: string,
    timeout: number,
  ): http.ClientRequest {
    const proxy = proxyFor(this.#settings.proxies, url);
    if (url.protocol === "https:") {
      const agent = this.#agent(`tls ${proxy?.href ?? ""}`, () =>
        proxy === undefined ? new https.Agent({ keepAlive: true }) : new TunnelAgent(proxy),
      );
      return https.request(url, { ...this.#tlsFor(url), headers, method, agent, timeout });
    }
    const agent = this.#agent("plain", () => new http.Agent({ keepAlive: true }));
    if (proxy === undefined) return http.request(url, { headers, method, agent, timeout });
    // What needs no tunnel is asked of the proxy by its whole address.
    const { request } = proxy.protocol === "https:" ? https : http;
    const options = { method, path: url.href, timeout };
    return request(proxy, {
      ...options,
      headers: { ...headers, host: url.host, ...proxyAuthorization(proxy) },
    });
  }

  #agent(key: string, make: () => http.Agent): http.Agent {
    const agent = this.#agents.get(key) ?? make();
    this.#agents.set(key, agent);
    return agent;
  }

  #tlsFor(url: URL): https.RequestOptions {
    const known = this.#tls.get(url.host);
    if (known !== undefined) return known;
    const { ca, client } = hostCertificates(this.#settings, url.host);
    const options: https.RequestOptions & { secureContext: tls.SecureContext } = {
      secureContext: tls.createSecureContext({ ca: [...systemRoots(), ...ca], ...client }),
      rejectUnauthorized: !isInsecure(this.#settings, url),
    };
    this.#tls.set(url.host, options);
    return options;
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

/** Sends a body as fast as it is taken. A registry that answers before it has everything is heard. */
async function write(
  request: http.ClientRequest,
  body: Uint8Array | AsyncIterable<Uint8Array> | undefined,
): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    request.end(body);
    return;
  }
  const closed = once(request, "close").catch(() => undefined);
  for await (const bytes of body) {
    if (request.destroyed) return;
    if (!request.write(bytes)) {
      await Promise.race([once(request, "drain").catch(() => undefined), closed]);
    }
  }
  request.end();
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

/** What goes wrong with a connection in a way that another try would not mend, by Node's codes. */
const ERRORS: readonly (readonly [RegExp, ImageErrorCode])[] = [
  [/^HPE_/, "REGISTRY_PROTOCOL"],
  [/CERT|^UNABLE_TO_|^ERR_SSL_|^ERR_TLS_/, "REGISTRY_UNTRUSTED"],
  [/^PROXY_REFUSED$/, "SETTINGS_INVALID"],
];

function connectionError(error: unknown, url: URL): unknown {
  if (error instanceof ImageError || !(error instanceof Error)) return error;
  const code = "code" in error ? String(error.code) : "";
  const kind = ERRORS.find(([pattern]) => pattern.test(code))?.[1] ?? "REGISTRY_UNREACHABLE";
  return new ImageError(kind, `${url.host}: ${error.message || code}`, { cause: error });
}
