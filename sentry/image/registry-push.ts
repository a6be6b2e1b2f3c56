import { createHash } from "node:crypto";
import { type Digest, digestOf, finishDigest } from "./digest.ts";
import { ImageError } from "./errors.ts";
import { type HttpResponse, readBody } from "./http.ts";
import { parseUrl } from "./http-address.ts";
import { JsonReader } from "./json.ts";
import { JSON_BYTES_MAX } from "./limits.ts";
import type { Reference } from "./reference.ts";
import { RegistryClient, type RegistryOptions, type RegistryRequest } from "./registry-client.ts";

/** What was uploaded, whose name was not known before. */
export interface Uploaded {
  readonly digest: Digest;
  readonly size: number;
}

/** Where the bytes of a blob are to be sent. */
interface UploadSession {
  readonly location: URL;
}

const json = new JsonReader("REGISTRY_PROTOCOL");
const OCTETS = { "content-type": "application/octet-stream" } as const;
/** An address that has had uploads is only followed for as long as this. */
const LOCATION_BYTES_MAX = 8192;

/** One repository of a registry, written to through the OCI distribution API. */
export class PushRepository {
  readonly #path: string;
  readonly #client: RegistryClient;
  readonly #scopes: readonly string[];

  constructor({ domain, path }: Reference, options: RegistryOptions) {
    this.#path = path;
    this.#client = new RegistryClient(domain, options);
    this.#scopes = [`repository:${path}:pull,push`];
  }

  close(): void {
    this.#client.close();
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    const response = await this.#send({ method: "HEAD", path: `blobs/${digest}` });
    response.discard();
    if (response.status === 200) return true;
    if (response.status === 404) return false;
    throw await this.#refusal(response, `blobs/${digest}`);
  }

  /** Asks the registry to take a blob over from another of its repositories; false where it does not. */
  async mount(digest: Digest, from: string): Promise<boolean> {
    const path = `blobs/uploads/?mount=${digest}&from=${encodeURIComponent(from)}`;
    const scopes = [...this.#scopes, `repository:${from}:pull`];
    const response = await this.#send({ method: "POST", path, body: EMPTY, scopes });
    response.discard();
    if (response.status === 201) return true;
    // It has opened an upload instead, which nobody wants.
    if (response.status === 202) await this.#cancel(this.#session(response, await this.#root()));
    return false;
  }

  /** Uploads a small blob at once. */
  async uploadBytes(bytes: Uint8Array): Promise<Uploaded> {
    const digest = digestOf(bytes);
    return this.#retried(async () => {
      const session = await this.#open();
      await this.#finish(session, digest, bytes);
      return { digest, size: bytes.length };
    });
  }

  /**
   * Uploads a blob while it is made, and finds out its digest meanwhile.
   * @param open makes its bytes; called again where an upload breaks
   */
  async uploadStream(open: () => AsyncIterable<Uint8Array>): Promise<Uploaded> {
    return this.#retried(async () => {
      const hash = createHash("sha256");
      let size = 0;
      let failure: unknown;
      async function* measured(): AsyncGenerator<Uint8Array, void, void> {
        try {
          for await (const bytes of open()) {
            hash.update(bytes);
            size += bytes.length;
            yield bytes;
          }
        } catch (error) {
          failure = error; // not the registry's
          throw error;
        }
      }
      const session = await this.#open();
      const { location } = session;
      const request = { method: "PATCH", path: location, headers: OCTETS, body: measured } as const;
      const response = await this.#client
        .send({ ...request, scopes: this.#scopes })
        .catch((error: unknown) => {
          throw failure ?? error;
        });
      if (response.status !== 202 && response.status !== 204 && response.status !== 201) {
        throw await this.#refusal(response, "blobs/uploads");
      }
      response.discard();
      const next = this.#session(response, location);
      const digest = finishDigest(hash);
      await this.#finish(next, digest, new Uint8Array());
      return { digest, size };
    });
  }

  /** Gives a manifest the name `tag`. */
  async putManifest(tag: string, bytes: Uint8Array, mediaType: string): Promise<Digest> {
    const headers = { "content-type": mediaType };
    const path = `manifests/${tag}`;
    const response = await this.#send({ method: "PUT", path, headers, body: () => bytes });
    if (response.status < 200 || response.status > 299) throw await this.#refusal(response, path);
    response.discard();
    return digestOf(bytes);
  }

  async #open(): Promise<UploadSession> {
    const path = `${this.#path}/blobs/uploads/`;
    const request = { method: "POST", path, body: EMPTY, scopes: this.#scopes } as const;
    const response = await this.#client.send(request);
    if (response.status !== 202) throw await this.#refusal(response, "blobs/uploads");
    response.discard();
    return this.#session(response, await this.#root());
  }

  async #finish({ location }: UploadSession, digest: Digest, bytes: Uint8Array): Promise<void> {
    const path = new URL(location);
    path.searchParams.set("digest", digest);
    const headers = { ...OCTETS, "content-length": String(bytes.length) };
    const request = { method: "PUT", path, headers, body: () => bytes } as const;
    const response = await this.#client.send({ ...request, scopes: this.#scopes });
    if (response.status !== 201 && response.status !== 204) {
      throw await this.#refusal(response, `blobs/${digest}`);
    }
    response.discard();
  }

  async #cancel({ location }: UploadSession): Promise<void> {
    const request = { method: "DELETE", path: location, scopes: this.#scopes } as const;
    await this.#client.send(request).then(
      (response) => response.discard(),
      () => undefined, // registries forget uploads by themselves
    );
  }

  #session({ headers }: HttpResponse, base: URL): UploadSession {
    const { location } = headers;
    if (location === undefined || location.length > LOCATION_BYTES_MAX) {
      throw new ImageError("REGISTRY_PROTOCOL", "it does not say where to upload");
    }
    return { location: parseUrl(location, base) };
  }

  #root(): Promise<URL> {
    return this.#client.root();
  }

  #send(
    request: Omit<RegistryRequest, "path" | "scopes"> & {
      readonly path: string;
      readonly scopes?: readonly string[];
    },
  ): Promise<HttpResponse> {
    const path = `${this.#path}/${request.path}`;
    return this.#client.sendAgain({ scopes: this.#scopes, ...request, path });
  }

  /** An upload that breaks begins again: registries differ too much in how they take one up. */
  async #retried<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        await this.#client.pause(error, attempt);
      }
    }
  }

  async #refusal(response: HttpResponse, what: string): Promise<ImageError> {
    const { status } = response;
    const reason = await reasonOf(response);
    if (status === 401 || status === 403) {
      return new ImageError(
        "REGISTRY_DENIED",
        status === 401
          ? (reason ?? "unauthorized: authentication required")
          : (reason ?? "denied: requested access to the resource is denied"),
      );
    }
    const where = `${this.#client.domain}/${this.#path}/${what}`;
    const code = status >= 500 || status === 429 ? "REGISTRY_UNREACHABLE" : "REGISTRY_PROTOCOL";
    return new ImageError(code, `${where}: ${reason ?? `status ${status}`}`);
  }
}

const EMPTY = (): Uint8Array => new Uint8Array();
const REASON_LENGTH_MAX = 300;

/** What a registry says for itself, as `code: message`. */
async function reasonOf(response: HttpResponse): Promise<string | undefined> {
  try {
    const document = json.parse(await readBody(response, JSON_BYTES_MAX));
    const [first] = json.array(document["errors"], "errors", 100);
    const { code, message } = json.object(first, "an error");
    const text = `${String(code ?? "").toLowerCase()}: ${String(message ?? "")}`;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a stranger's text goes to a terminal
    return text.replace(/[\x00-\x1f\x7f]/g, " ").slice(0, REASON_LENGTH_MAX);
  } catch {
    return undefined;
  }
}
