import { type Digest, digestOf, isDigest } from "./digest.ts";
import { ImageError } from "./errors.ts";
import { type HttpResponse, readBody } from "./http.ts";
import { JsonReader } from "./json.ts";
import { JSON_BYTES_MAX } from "./limits.ts";
import { ACCEPTED_MANIFESTS, type Descriptor } from "./manifest.ts";
import type { Reference } from "./reference.ts";
import { ATTEMPTS_MAX, RegistryClient, type RegistryOptions } from "./registry-client.ts";

/** How often one blob may be taken up again in all. */
const RESUMES_MAX = 32;
/** Tags that one answer may list, and answers that are asked for. */
const TAGS_MAX = 10_000;
const TAG_PAGES_MAX = 100;
const json = new JsonReader("REGISTRY_PROTOCOL");

export interface FetchedManifest {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly contentType: string | undefined;
}

/** One repository of a registry, read through the OCI distribution API (docker's v2). */
export class Repository {
  readonly #reference: Reference;
  readonly #client: RegistryClient;
  readonly #scopes: readonly string[];

  /** @param mirror an address to ask instead of the registry's own */
  constructor(reference: Reference, options: RegistryOptions, mirror?: URL) {
    this.#reference = reference;
    this.#client = new RegistryClient(reference.domain, options, mirror);
    this.#scopes = [`repository:${reference.path}:pull`];
  }

  /** As in references: `docker.io/library/debian`. */
  get name(): string {
    return `${this.#reference.domain}/${this.#reference.path}`;
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
        await this.#client.pause(error, attempt);
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

  /** The tags that the repository has, as far as it tells. */
  async tags(): Promise<string[]> {
    const tags: string[] = [];
    let what = "tags/list";
    for (let page = 0; page < TAG_PAGES_MAX; page++) {
      const response = await this.#get(what, {});
      const answer = json.parse(await readBody(response, JSON_BYTES_MAX));
      tags.push(...(json.optionalStrings(answer["tags"], "tags", TAGS_MAX) ?? []));
      const next = /<[^>]*[?&](last=[^&>]*)[^>]*>;\s*rel="?next/.exec(headerOf(response, "link"));
      if (next === null) break;
      what = `tags/list?n=${TAGS_MAX}&${next[1]}`;
    }
    return tags;
  }

  /** A GET below the repository, tried several times. */
  async #get(what: string, headers: Readonly<Record<string, string>>): Promise<HttpResponse> {
    const path = `${this.#reference.path}/${what}`;
    const response = await this.#client.sendAgain({ path, headers, scopes: this.#scopes });
    if (response.status === 200 || response.status === 206) return response;
    throw this.#refusal(response, what);
  }

  #refusal(response: HttpResponse, what: string): ImageError {
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
    return new ImageError("REGISTRY_PROTOCOL", `${where}: status ${status}`);
  }
}

function headerOf({ headers }: HttpResponse, name: string): string {
  return String(headers[name] ?? "");
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
