import type { Readable } from "node:stream";
import type { ApiVersion } from "../version.ts";
import type { JsonObject } from "./json.ts";

/** Filters of images: names with their values, which the engine judges. */
export type ImageFilters = Readonly<Record<string, readonly string[]>>;

export interface ListImagesChoice {
  /** Also the steps of builds that others stand on. */
  readonly all: boolean;
  readonly sharedSize: boolean;
  readonly filters: ImageFilters;
}

/** What a client wants from a registry, and what it shows there. */
export interface RegistryChoice {
  /** The header `X-Registry-Auth`, as it came. */
  readonly auth: string | undefined;
}

export interface PullChoice extends RegistryChoice {
  readonly image: string;
  /** A tag or a digest; undefined: what the image's name has, else all tags. */
  readonly tag: string | undefined;
  readonly platform: string | undefined;
}

export interface ImportChoice {
  /** An address, or `-` for the request's body. */
  readonly source: string;
  readonly repository: string | undefined;
  readonly tag: string | undefined;
  readonly message: string | undefined;
  readonly changes: readonly string[];
  readonly platform: string | undefined;
}

export interface PushChoice extends RegistryChoice {
  /** Undefined: all of the repository. */
  readonly tag: string | undefined;
  readonly platform: string | undefined;
}

export interface SearchChoice extends RegistryChoice {
  readonly term: string;
  readonly limit: number | undefined;
  readonly filters: ImageFilters;
}

/** Images and registries. `name` is a reference, an id or the beginning of an id. Streams are `jsonmessage`s. */
export interface ImagesEngine {
  list(choice: ListImagesChoice, version: ApiVersion): Promise<readonly JsonObject[]>;
  inspect(name: string, platform: string | undefined, version: ApiVersion): Promise<JsonObject>;
  history(name: string, platform: string | undefined): Promise<readonly JsonObject[]>;
  pull(choice: PullChoice, gone: AbortSignal): AsyncIterable<JsonObject>;
  import(choice: ImportChoice, archive: Readable, gone: AbortSignal): AsyncIterable<JsonObject>;
  push(name: string, choice: PushChoice, gone: AbortSignal): AsyncIterable<JsonObject>;
  /** Never throws before its first message: docker's clients expect what goes wrong among them. */
  load(
    archive: Readable,
    choice: { readonly quiet: boolean; readonly platform: string | undefined },
    gone: AbortSignal,
  ): AsyncIterable<JsonObject>;
  /** A tar archive. */
  save(names: readonly string[], platform: string | undefined): Promise<AsyncIterable<Uint8Array>>;
  tag(name: string, repository: string, tag: string | undefined): Promise<void>;
  remove(
    name: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<readonly JsonObject[]>;
  prune(filters: ImageFilters): Promise<JsonObject>;
  search(choice: SearchChoice): Promise<readonly JsonObject[]>;
  /** Tries a login: `{ Status, IdentityToken }`. */
  login(body: JsonObject): Promise<JsonObject>;
  /** What a registry has by a name: `{ Descriptor, Platforms }`. */
  distribution(name: string, choice: RegistryChoice): Promise<JsonObject>;
}
