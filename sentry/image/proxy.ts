import * as http from "node:http";
import * as https from "node:https";
import type { Duplex } from "node:stream";
import * as tls from "node:tls";
import { ImageError } from "./errors.ts";
import { isLoopback } from "./http-address.ts";

/** The proxies that the environment names, as Go programs read it. */
export interface Proxies {
  readonly http: string;
  readonly https: string;
  /** Hosts to reach without: names with what is below them, `.name` for that alone, addresses, `*`. */
  readonly none: readonly string[];
}

export const NO_PROXIES: Proxies = { http: "", https: "", none: [] };

/** How long a proxy may take to open a tunnel. */
const TUNNEL_MS = 30_000;

export function proxiesOf(environment: NodeJS.ProcessEnv): Proxies {
  const read = (name: string): string => environment[name] || environment[name.toLowerCase()] || "";
  return {
    http: read("HTTP_PROXY"),
    https: read("HTTPS_PROXY"),
    none: read("NO_PROXY")
      .split(",")
      .map((each) => each.trim().toLowerCase())
      .filter((each) => each !== ""),
  };
}

/**
 * The proxy to reach `url` through, or undefined.
 * @throws {ImageError} SETTINGS_INVALID for one that is no http proxy
 */
export function proxyFor(proxies: Proxies, url: URL): URL | undefined {
  const text = url.protocol === "https:" ? proxies.https : proxies.http;
  if (text === "" || isLoopback(url) || proxies.none.some((each) => exempts(each, url))) {
    return undefined;
  }
  const address = text.includes("://") ? text : `http://${text}`;
  const proxy = URL.canParse(address) ? new URL(address) : undefined;
  if (proxy !== undefined && /^https?:$/.test(proxy.protocol)) return proxy;
  throw new ImageError("SETTINGS_INVALID", `the proxy ${JSON.stringify(text)} is none for http`);
}

function exempts(entry: string, url: URL): boolean {
  if (entry === "*") return true;
  const host = url.hostname.toLowerCase();
  const [, name = entry, port] = /^(.*?)(?::([0-9]+))?$/.exec(entry) ?? [];
  if (port !== undefined && port !== (url.port || defaultPort(url))) return false;
  if (name.startsWith(".")) return host.endsWith(name);
  return host === name || host.endsWith(`.${name}`);
}

function defaultPort(url: URL): string {
  return url.protocol === "https:" ? "443" : "80";
}

/** The header that a proxy with a user name in its address wants. */
export function proxyAuthorization(proxy: URL): Record<string, string> {
  if (proxy.username === "") return {};
  const user = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(user).toString("base64")}` };
}

/** Connections with TLS through a proxy's tunnel (`CONNECT`; RFC 9110, 9.3.6). */
export class TunnelAgent extends https.Agent {
  readonly #proxy: URL;

  constructor(proxy: URL) {
    super({ keepAlive: true });
    this.#proxy = proxy;
  }

  override createConnection(
    options: https.RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const target = `${options.host}:${options.port ?? 443}`;
    const fail = (error: Error): void => callback?.(error, null as unknown as Duplex);
    const connect = this.#proxy.protocol === "https:" ? https.request : http.request;
    const request = connect(this.#proxy, {
      method: "CONNECT",
      path: target,
      headers: { host: target, ...proxyAuthorization(this.#proxy) },
      agent: false,
      timeout: TUNNEL_MS,
    });
    request.on("timeout", () =>
      request.destroy(new Error(`the proxy ${this.#proxy.host} does not answer`)),
    );
    request.on("error", fail);
    request.on("connect", (response, socket) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        const what = `the proxy ${this.#proxy.host} answered ${response.statusCode}`;
        const code = response.statusCode === 407 ? { code: "PROXY_REFUSED" } : {};
        fail(Object.assign(new Error(what), code));
        return;
      }
      const secure = tls.connect({
        ...(options as tls.ConnectionOptions),
        host: undefined,
        port: undefined,
        path: undefined,
        socket,
        servername: options.servername ?? options.host ?? "",
      });
      callback?.(null, secure);
    });
    request.end();
    return undefined;
  }
}
