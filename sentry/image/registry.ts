import { setTimeout as sleep } from "node:timers/promises";
import { type Digest, digestOf, isDigest } from "./digest.ts";
import { ImageError, type ImageErrorCode } from "./errors.ts";
import { HttpClient, type HttpResponse, isLoopback, parseUrl, readBody, STALL_MS } from "./http.ts";
import { JSON_BYTES_MAX } from "./limits.ts";
import { ACCEPTED_MANIFESTS, type Descriptor } from "./manifest.ts";
import type { Reference } from "./reference.ts";
import {
  basic,
  type Credentials,
  fetchToken,
  parseChallenge,
  storedCredentials,
} from "./registry-auth.ts";

/** Tries in a row that bring nothing, and how often one blob may be taken up again in all. */
const ATTEMPTS_MAX = 4;
const RESUMES_MAX = 32;
const BACKOFF_MS = 250;
const HUB = "docker.io";
const HUB_HOST = "registry-1.docker.io";
/** What may be over the next time. */
const TRANSIENT: ReadonlySet<ImageErrorCode> = new Set([
  "REGISTRY_UNREACHABLE",
  "REGISTRY_STALLED",
]);

export interface RegistryOptions {
  /** Instead of what docker has stored for the registry. */
  readonly credentials?: Credentials;
  /** Allows plain http for this registry; this machine's own are always allowed it. */
  readonly insecure?: boolean;
  /** How long to wait for a registry that says nothing, in milliseconds. */
  readonly stallMs?: number;
  readonly signal?: AbortSignal;
}

export interface FetchedManifest {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly contentType: string | undefined;
}

/** One repository of a registry, read through the OCI distribution API (docker's v2). */
export class Repository {
  readonly #reference: Reference;
  readonly #options: RegistryOptions;
  readonly #client: HttpClient;
  #base: URL | undefined;
  #authorization: string | undefined;

  constructor(reference: Reference, options: RegistryOptions) {
    this.#reference = reference;
    this.#options = options;
    this.#client = new HttpClient(
      options.stallMs ?? STALL_MS,
      (url) => isLoopback(url) || (options.insecure === true && url.host === this.#base?.host),
    );
  }

  /** The manifest or index that a tag or a digest names; its own digest is verified in the latter case. */
  async manifest(name: string | Descriptor): Promise<FetchedManifest> {
    const reference = typeof name === "string" ? name : name.digest;
    const response = await this.#get(`manifests/${reference}`, { accept: ACCEPTED_MANIFESTS });
    const bytes = await readBody(response, JSON_BYTES_MAX);
    const digest = digestOf(bytes);
    const said = response.headers["docker-content-digest"];
    for (const promised of [isDigest(reference) ? reference : undefined, said]) {
      if (isDigest(promised) && promised !== digest) {
        throw new ImageError("DIGEST_MISMATCH", `${digest} instead of ${promised}`);
      }
    }
    if (typeof name !== "string") checkSize(bytes.length, name.size);
    return { bytes, digest, contentType: response.headers["content-type"] };
  }

  /** A small blob, verified. */
  async blob(descriptor: Descriptor): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.stream(descriptor)) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const digest = digestOf(bytes);
    if (digest !== descriptor.digest) {
      throw new ImageError("DIGEST_MISMATCH", `${digest} instead of ${descriptor.digest}`);
    }
    return bytes;
  }

  /**
   * The bytes of a blob, exactly as many as promised but *not verified*: who reads them checks the
   * digest. A connection that breaks is taken up again where it broke.
   */
  async *stream(descriptor: Descriptor): AsyncGenerator<Uint8Array, void, void> {
    let received = 0;
    let resumes = 0;
    for (let attempt = 1; received < descriptor.size; attempt++) {
      const before = received;
      try {
        for await (const chunk of await this.#blobFrom(descriptor, received)) {
          received += chunk.length;
          if (received > descriptor.size) checkSize(received, descriptor.size);
          yield chunk;
        }
        if (received < descriptor.size && attempt >= ATTEMPTS_MAX) {
          checkSize(received, descriptor.size);
        }
      } catch (error) {
        if (received > before && ++resumes < RESUMES_MAX) attempt = 1;
        await this.#pause(error, attempt);
      }
    }
  }

  close(): void {
    this.#client.close();
  }

  async #blobFrom(descriptor: Descriptor, start: number): Promise<AsyncIterable<Uint8Array>> {
    const range: Record<string, string> = start === 0 ? {} : { range: `bytes=${start}-` };
    const response = await this.#get(`blobs/${descriptor.digest}`, range);
    if (start === 0) return response.body;
    if (response.status !== 206) return skip(response.body, start);
    if (!response.headers["content-range"]?.startsWith(`bytes ${start}-`)) {
      response.discard();
      throw new ImageError("REGISTRY_PROTOCOL", "another part of a layer than was asked for");
    }
    return response.body;
  }

  /** A GET below the repository, with authorization if the registry wants it, tried several times. */
  async #get(what: string, headers: Readonly<Record<string, string>>): Promise<HttpResponse> {
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await this.#authorized(what, headers);
        if (response.status === 200 || response.status === 206) return response;
        throw await this.#refusal(response, what);
      } catch (error) {
        await this.#pause(error, attempt);
      }
    }
  }

  async #authorized(
    what: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<HttpResponse> {
    const base = await this.#root();
    const url = parseUrl(`/v2/${this.#reference.path}/${what}`, base);
    const send = (): Promise<HttpResponse> => {
      const authorization: Record<string, string> =
        this.#authorization === undefined ? {} : { authorization: this.#authorization };
      return this.#client.get(url, {
        headers: { ...headers, ...authorization },
        signal: this.#options.signal,
      });
    };
    const response = await send();
    if (response.status !== 401) return response;
    response.discard();
    this.#authorization = await this.#authorize(base, response.headers["www-authenticate"]);
    return send();
  }

  async #authorize(base: URL, header: string | undefined): Promise<string> {
    const challenge = parseChallenge(header);
    const { credentials: given, signal } = this.#options;
    const credentials = given ?? (await storedCredentials(this.#reference.domain));
    if (challenge?.scheme === "bearer") {
      return fetchToken(this.#client, base, this.#reference.path, challenge, credentials, signal);
    }
    if (challenge?.scheme !== "basic") {
      throw new ImageError("REGISTRY_PROTOCOL", "it does not say how to log in");
    }
    if (credentials === undefined)
      throw new ImageError("REGISTRY_DENIED", "no basic auth credentials");
    return basic(credentials);
  }

  /** Where the registry is: https, or plain http where that is allowed and https is not spoken. */
  async #root(): Promise<URL> {
    if (this.#base !== undefined) return this.#base;
    const { domain } = this.#reference;
    const secure = parseUrl(`https://${domain === HUB ? HUB_HOST : domain}`);
    this.#base = secure;
    if (!isLoopback(secure) && this.#options.insecure !== true) return secure;
    try {
      const response = await this.#client.get(parseUrl("/v2/", secure), {
        headers: {},
        signal: this.#options.signal,
      });
      response.discard();
    } catch (error) {
      if (!speaksNoTls(error)) {
        this.#base = undefined;
        throw error;
      }
      this.#base = parseUrl(`http://${domain}`);
    }
    return this.#base;
  }

  async #refusal(response: HttpResponse, what: string): Promise<ImageError> {
    const { domain, path } = this.#reference;
    const status = response.status;
    response.discard();
    const where = `${domain}/${path}/${what}`;
    if (status === 401 || status === 403) {
      return new ImageError(
        "REGISTRY_DENIED",
        `pull access denied for ${path}, repository does not exist or may require authorization`,
      );
    }
    if (status === 404) return new ImageError("REGISTRY_NOT_FOUND", `${where} not found`);
    if (status === 429 || status >= 500) {
      return new ImageError("REGISTRY_UNREACHABLE", `${where}: status ${status}`);
    }
    return new ImageError("REGISTRY_PROTOCOL", `${where}: status ${status}`);
  }

  /** Waits before another attempt, or throws `error` where there is to be none. */
  async #pause(error: unknown, attempt: number): Promise<void> {
    const { signal } = this.#options;
    if (signal?.aborted) throw new ImageError("ABORTED");
    const transient = error instanceof ImageError && TRANSIENT.has(error.code);
    if (!transient || attempt >= ATTEMPTS_MAX) throw error;
    await sleep(BACKOFF_MS * 2 ** (attempt - 1), undefined, signal ? { signal } : {}).catch(() => {
      throw new ImageError("ABORTED");
    });
  }
}

function checkSize(size: number, expected: number): void {
  if (size === expected) return;
  throw new ImageError("SIZE_MISMATCH", `${size} bytes instead of ${expected}`);
}

/** A registry that cannot send a part sends all of it; the part we have is dropped. */
async function* skip(
  body: AsyncIterable<Uint8Array>,
  count: number,
): AsyncGenerator<Uint8Array, void, void> {
  let left = count;
  for await (const chunk of body) {
    if (left >= chunk.length) {
      left -= chunk.length;
      continue;
    }
    yield chunk.subarray(left);
    left = 0;
  }
}

/** A TLS handshake that was answered with something that is no TLS. */
function speaksNoTls(error: unknown): boolean {
  const cause = error instanceof ImageError ? error.cause : undefined;
  if (!(cause instanceof Error) || !("code" in cause)) return false;
  const code = String(cause.code);
  return code === "EPROTO" || code === "ECONNRESET" || code.startsWith("ERR_SSL_");
}
