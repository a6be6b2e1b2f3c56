import { setTimeout as sleep } from "node:timers/promises";
import { type Credentials, storedCredentials } from "./credentials.ts";
import { ImageError, type ImageErrorCode } from "./errors.ts";
import { HttpClient, type HttpRequest, type HttpResponse, STALL_MS } from "./http.ts";
import { isLoopback, parseUrl } from "./http-address.ts";
import { basic, fetchToken, parseChallenge, type Token } from "./registry-auth.ts";
import { isInsecure, type RegistrySettings, readRegistrySettings } from "./registry-settings.ts";

/** Tries in a row that bring nothing. */
export const ATTEMPTS_MAX = 4;
const BACKOFF_MS = 250;
const HUB = "docker.io";
const HUB_HOST = "registry-1.docker.io";
/** What may be over the next time. */
const TRANSIENT: ReadonlySet<ImageErrorCode> = new Set([
  "REGISTRY_UNREACHABLE",
  "REGISTRY_STALLED",
]);

export interface RegistryOptions {
  /**
   * What to show the registry: `"stored"` (the default) for what docker has stored of the user's logins,
   * undefined for nothing.
   */
  readonly credentials?: Credentials | "stored" | undefined;
  /** Allows plain http for this registry; this machine's own are always allowed it. */
  readonly insecure?: boolean;
  /** Default what the user's settings say. */
  readonly settings?: RegistrySettings;
  /** How long to wait for a registry that says nothing, in milliseconds. */
  readonly stallMs?: number;
  readonly signal?: AbortSignal;
}

/** A request below `/v2/`. */
export interface RegistryRequest {
  readonly method?: HttpRequest["method"];
  /** Below `/v2/`, or a whole address that the registry itself has named. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Gives the body; called again where the request has to be. */
  readonly body?: () => Uint8Array | AsyncIterable<Uint8Array>;
  /** What it is about, for the token server: `repository:a/b:pull`. */
  readonly scopes: readonly string[];
}

/** One registry, spoken to with the OCI distribution API (docker's v2): where it is, and who we are to it. */
export class RegistryClient {
  /** Its name as in references. */
  readonly domain: string;
  readonly #options: RegistryOptions;
  readonly #settings: RegistrySettings;
  readonly #http: HttpClient;
  /** Where to look, if that does not follow from the name: a mirror. */
  readonly #address: URL | undefined;
  #root: Promise<URL> | undefined;
  /** By scopes; that of Basic is for everything. */
  readonly #authorizations = new Map<string, string>();
  #basic: string | undefined;

  constructor(domain: string, options: RegistryOptions, mirror?: URL) {
    const settings = options.settings ?? readRegistrySettings();
    const host = domain === HUB ? HUB_HOST : domain;
    const insecure = options.insecure === true ? [...settings.insecure, host] : settings.insecure;
    this.domain = domain;
    this.#options = options;
    this.#settings = { ...settings, insecure };
    this.#address = mirror;
    if (mirror?.protocol === "http:") {
      // To be named as a mirror with http is leave to use http.
      this.#settings = { ...this.#settings, insecure: [...insecure, mirror.host] };
    }
    this.#http = new HttpClient(options.stallMs ?? STALL_MS, this.#settings);
  }

  get signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  close(): void {
    this.#http.close();
  }

  /**
   * Sends a request, with authorization where the registry wants it.
   * @returns the answer, whatever its status but 401
   * @throws {ImageError} REGISTRY_*, CREDENTIALS_INVALID
   */
  async send({ method, path, headers, body, scopes }: RegistryRequest): Promise<HttpResponse> {
    const root = await this.root();
    const url = path instanceof URL ? path : parseUrl(`v2/${path}`, root);
    const key = scopes.join(" ");
    const once = (): Promise<HttpResponse> => {
      const authorization =
        url.origin !== root.origin ? undefined : (this.#authorizations.get(key) ?? this.#basic);
      return this.#http.send(url, {
        ...(method === undefined ? {} : { method }),
        headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
        body: body?.(),
        signal: this.signal,
      });
    };
    const response = await once();
    if (response.status !== 401 || url.origin !== root.origin) return response;
    response.discard();
    const { authorization } = await this.authorize(response, scopes);
    this.#authorizations.set(key, authorization);
    return once();
  }

  /** Sends a GET with these headers and nothing of ours. */
  sendBare(url: URL, headers: Readonly<Record<string, string>> = {}): Promise<HttpResponse> {
    return this.#http.send(url, { headers, signal: this.signal });
  }

  /** As {@link send}, again while the registry cannot be reached or has troubles of its own. */
  async sendAgain(request: RegistryRequest): Promise<HttpResponse> {
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await this.send(request);
        if (response.status !== 429 && response.status < 500) return response;
        response.discard();
        const what = request.path instanceof URL ? request.path.pathname : request.path;
        throw new ImageError(
          "REGISTRY_UNREACHABLE",
          `${this.domain}/${what}: status ${response.status}`,
        );
      } catch (error) {
        await this.pause(error, attempt);
      }
    }
  }

  /** What to show the registry for `scopes`, after it has answered 401. */
  async authorize(
    response: HttpResponse,
    scopes: readonly string[],
    offline = false,
  ): Promise<Token> {
    const challenge = parseChallenge(response.headers["www-authenticate"]);
    const credentials = await this.#credentials();
    const registry = await this.root();
    const { signal } = this;
    if (challenge?.scheme === "bearer") {
      const request = { registry, challenge, scopes, credentials, offline, signal };
      return fetchToken(this.#http, request);
    }
    if (challenge?.scheme !== "basic") {
      throw new ImageError("REGISTRY_PROTOCOL", "it does not say how to log in");
    }
    if (credentials === undefined || !("password" in credentials)) {
      throw new ImageError("REGISTRY_DENIED", "no basic auth credentials");
    }
    const { username, password } = credentials;
    this.#basic = basic(username, password);
    return { authorization: this.#basic, identityToken: undefined };
  }

  async #credentials(): Promise<Credentials | undefined> {
    // Undefined and not given are two things here.
    const { credentials } = "credentials" in this.#options ? this.#options : STORED;
    if (credentials !== "stored") return this.#address === undefined ? credentials : undefined;
    return storedCredentials(this.#address?.host ?? this.domain);
  }

  /** Where the registry is: https, or plain http where that is allowed and https is not spoken. */
  root(): Promise<URL> {
    if (this.#root === undefined) {
      const finding = this.#findRoot();
      this.#root = finding;
      finding.catch(() => {
        this.#root = undefined;
      });
    }
    return this.#root;
  }

  async #findRoot(): Promise<URL> {
    if (this.#address !== undefined) {
      return parseUrl(this.#address.href.replace(/\/?$/, "/"));
    }
    const { domain } = this;
    const secure = parseUrl(`https://${domain === HUB ? HUB_HOST : domain}/`);
    if (!isLoopback(secure) && !isInsecure(this.#settings, secure)) return secure;
    try {
      const { signal } = this;
      (await this.#http.send(parseUrl("v2/", secure), { headers: {}, signal })).discard();
      return secure;
    } catch (error) {
      if (!speaksNoTls(error)) throw error;
      return parseUrl(`http://${domain}/`);
    }
  }

  /** Waits before another attempt, or throws `error` where there is to be none. */
  async pause(error: unknown, attempt: number): Promise<void> {
    const { signal } = this;
    if (signal?.aborted) throw new ImageError("ABORTED");
    const transient = error instanceof ImageError && TRANSIENT.has(error.code);
    if (!transient || attempt >= ATTEMPTS_MAX) throw error;
    await sleep(BACKOFF_MS * 2 ** (attempt - 1), undefined, signal ? { signal } : {}).catch(() => {
      throw new ImageError("ABORTED");
    });
  }
}

const STORED = { credentials: "stored" } as const;

/** A TLS handshake that was answered with something that is no TLS. */
function speaksNoTls(error: unknown): boolean {
  const cause = error instanceof ImageError ? error.cause : undefined;
  if (!(cause instanceof Error) || !("code" in cause)) return false;
  const code = String(cause.code);
  return code === "EPROTO" || code === "ECONNRESET" || code.startsWith("ERR_SSL_");
}
