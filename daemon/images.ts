import type { Readable } from "node:stream";
import type {
  ImageFilters,
  ImagesEngine,
  ImportChoice,
  ListImagesChoice,
  PullChoice,
  PushChoice,
  RegistryChoice,
  SearchChoice,
} from "../api/engine/images.ts";
import type { JsonObject } from "../api/engine/json.ts";
import { ApiError } from "../api/errors.ts";
import type { ApiVersion } from "../api/version.ts";
import { imageUsers } from "../sentry/container/image-users.ts";
import { chainIds } from "../sentry/image/chain-id.ts";
import {
  type Credentials,
  parseAuthConfig,
  parseAuthHeader,
  registryOf,
} from "../sentry/image/credentials.ts";
import { type Digest, hexOf } from "../sentry/image/digest.ts";
import { historyOf } from "../sentry/image/history.ts";
import { listImages, truth } from "../sentry/image/image-filter.ts";
import type { StoredImage } from "../sentry/image/image-store.ts";
import { importRoot } from "../sentry/image/import-root.ts";
import { fetchArchive } from "../sentry/image/import-source.ts";
import { type Loaded, load } from "../sentry/image/load.ts";
import { login } from "../sentry/image/login.ts";
import { type Platform, parsePlatform } from "../sentry/image/platform.ts";
import { pruneImages } from "../sentry/image/prune.ts";
import {
  type PullEvent,
  type Pulled,
  type PullOptions,
  pull,
  pullAll,
} from "../sentry/image/pull.ts";
import { type PushEvent, push } from "../sentry/image/push.ts";
import {
  familiarName,
  familiarRepository,
  parseReference,
  withDefaultTag,
} from "../sentry/image/reference.ts";
import type { RegistryOptions } from "../sentry/image/registry-client.ts";
import { remoteImage } from "../sentry/image/remote-image.ts";
import type { ImageUser, RemovalRecord } from "../sentry/image/removal.ts";
import { requirePlatform, save } from "../sentry/image/save.ts";
import { search } from "../sentry/image/search.ts";
import type { DaemonContext } from "./context.ts";
import { describeImage, secondsOf, summarizeImage } from "./images/describe.ts";
import { imageRefusal, pullRefusal, refusingImages } from "./images/image-refusals.ts";
import { messagesOf, Progress, type Tell } from "./images/progress.ts";

const SHORT_ID = 12;
const NEWEST: ApiVersion = { major: 1, minor: 51 };
/** What a history row without an image is called. */
const MISSING = "<missing>";

/** The images of the store and the registries, for the API. */
export class Images implements ImagesEngine {
  private readonly context: Pick<DaemonContext, "images" | "store" | "events" | "registries">;

  constructor(context: Pick<DaemonContext, "images" | "store" | "events" | "registries">) {
    this.context = context;
  }

  async list(choice: ListImagesChoice, version: ApiVersion): Promise<readonly JsonObject[]> {
    const { images } = this.context;
    return refusingImages(async () => {
      const found = await listImages(images, choice.filters, { all: choice.all });
      const shared = choice.sharedSize ? await this.sharedSizes() : undefined;
      return found.map((image) =>
        summarizeImage(image, version, {
          sharedSize: shared?.get(image.id) ?? -1,
          containers: -1,
        }),
      );
    });
  }

  async inspect(
    name: string,
    platform: string | undefined,
    version: ApiVersion,
  ): Promise<JsonObject> {
    const { images } = this.context;
    return refusingImages(async () => {
      const image = await images.get(name);
      requirePlatform(image, platformOf(platform).platform);
      return describeImage(image, await images.taggedAt(image.id), version);
    });
  }

  async history(name: string, platform: string | undefined): Promise<readonly JsonObject[]> {
    const { images } = this.context;
    const rows = await refusingImages(async () => {
      const image = await images.get(name);
      requirePlatform(image, platformOf(platform).platform);
      return historyOf(images, image);
    });
    return rows.map((row) => ({
      Id: row.id ?? MISSING,
      Created: secondsOf(row.created),
      CreatedBy: row.createdBy,
      Tags: row.tags.length === 0 ? null : row.tags,
      Size: row.size,
      Comment: row.comment,
    }));
  }

  pull(choice: PullChoice, gone: AbortSignal): AsyncIterable<JsonObject> {
    const name = withTag(choice.image, choice.tag);
    return messagesOf(gone, async (tell, signal) => {
      try {
        const reference = parseReference(name);
        const telling = new PullTelling(tell, reference.path);
        const options: PullOptions = {
          ...platformOf(choice.platform),
          ...this.registry(choice),
          signal,
          onProgress: (event) => telling.take(event),
        };
        const all = reference.tag === undefined && reference.digest === undefined;
        const pulled = all
          ? await pullAll(this.context.images, name, options)
          : new Map([["", await pull(this.context.images, name, options)]]);
        for (const [tag, each] of pulled) this.pulled(tag === "" ? name : `${name}:${tag}`, each);
        const newer = [...pulled.values()].some((each) => each.newer);
        const [last] = [...pulled.values()].slice(-1);
        if (last !== undefined) tell({ status: `Digest: ${last.digest}` });
        const shown = familiarName(reference);
        tell({
          status: newer
            ? `Status: Downloaded newer image for ${shown}`
            : `Status: Image is up to date for ${shown}`,
        });
      } catch (error) {
        throw pullRefusal(error, name);
      }
    });
  }

  private pulled(name: string, { image }: Pulled): void {
    const familiar = familiarName(parseReference(name));
    this.emit("pull", familiar, image, familiarRepository(parseReference(name)));
  }

  import(choice: ImportChoice, archive: Readable, gone: AbortSignal): AsyncIterable<JsonObject> {
    const { source, repository, tag, message, changes } = choice;
    return messagesOf(gone, async (tell, signal) => {
      await refusingImages(async () => {
        const remote = source !== "-";
        if (remote) tell({ status: `Downloading from ${source}` });
        const bytes = remote ? await fetchArchive(source, signal) : archive;
        const image = await importRoot(this.context.images, bytes, {
          ...(repository ? { reference: withTag(repository, tag) } : {}),
          message: message || `Imported from ${source}`,
          changes,
          ...platformOf(choice.platform),
          signal,
        });
        this.emit("import", image.id, image, image.tags[0] ?? image.id);
        tell({ status: image.id });
      });
    });
  }

  push(name: string, choice: PushChoice, gone: AbortSignal): AsyncIterable<JsonObject> {
    const { tag } = choice;
    return messagesOf(gone, async (tell, signal) => {
      const reference = await refusingImages(async () => parseReference(name));
      const { domain, path } = reference;
      tell({ status: `The push refers to repository [${domain}/${path}]` });
      const telling = new PushTelling(tell);
      const allTags = tag === undefined && reference.tag === undefined;
      await refusingImages(() =>
        push(this.context.images, tag === undefined ? name : withTag(name, tag), {
          allTags,
          ...this.registry(choice),
          signal,
          onProgress: (event) => telling.take(event),
        }),
      );
      const shown = familiarName(tag === undefined ? reference : { domain, path, tag });
      this.context.events.emit("image", "push", shown, { name: familiarRepository(reference) });
    });
  }

  async *load(
    archive: Readable,
    choice: { readonly quiet: boolean; readonly platform: string | undefined },
    gone: AbortSignal,
  ): AsyncGenerator<JsonObject, void, void> {
    try {
      yield* messagesOf(gone, async (tell, signal) => {
        const before = new Map<string, Digest>();
        for (const image of await this.context.images.list()) {
          for (const name of image.tags) before.set(name, image.id);
        }
        const options = { ...platformOf(choice.platform), signal };
        const loaded = await load(this.context.images, archive, options);
        for (const each of loaded) this.loaded(each, before, tell);
      });
    } catch (error) {
      const { message } = imageRefusal(error) as Error;
      yield { errorDetail: { message }, error: message };
    }
  }

  private loaded({ image, names }: Loaded, before: ReadonlyMap<string, Digest>, tell: Tell): void {
    if (names.length === 0) tell({ stream: `Loaded image ID: ${image.id}\n` });
    for (const name of names.map(familiarName)) {
      const old = before.get(name);
      if (old !== undefined && old !== image.id) {
        tell({
          stream:
            `The image ${name} already exists, renaming the old one with ID ${old} ` +
            "to empty string\n",
        });
      }
      tell({ stream: `Loaded image: ${name}\n` });
    }
    this.emit("load", image.id, image, image.tags[0] ?? image.id);
  }

  async save(
    names: readonly string[],
    platform: string | undefined,
  ): Promise<AsyncIterable<Uint8Array>> {
    const { images } = this.context;
    return refusingImages(async () => {
      const archive = await save(images, names, platformOf(platform));
      for (const name of names) {
        const image = await images.get(name).catch(() => undefined);
        if (image !== undefined) this.emit("save", image.id, image, image.tags[0] ?? image.id);
      }
      return archive;
    });
  }

  async tag(name: string, repository: string, tag: string | undefined): Promise<void> {
    const { images } = this.context;
    await refusingImages(async () => {
      const target = withTag(repository, tag);
      await images.tag(name, target);
      const image = await images.get(name);
      const familiar = familiarName(withDefaultTag(parseReference(target)));
      this.emit("tag", image.id, image, familiar);
    });
  }

  async remove(
    name: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<readonly JsonObject[]> {
    const { images } = this.context;
    return refusingImages(async () => {
      const image = await images.get(name);
      const { records } = await images.remove(name, { ...options, users: () => this.users() });
      return records.map((record) => this.removed(image, record));
    });
  }

  async prune(filters: ImageFilters): Promise<JsonObject> {
    const { images } = this.context;
    return refusingImages(async () => {
      const { records, reclaimed } = await pruneImages(images, filters, () => this.users());
      const deleted = records.map((record) => this.removed(undefined, record));
      this.context.events.emit("image", "prune", "", { reclaimed: String(reclaimed) });
      return { ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed };
    });
  }

  async search({ term, limit, filters, auth }: SearchChoice): Promise<readonly JsonObject[]> {
    return refusingImages(async () => {
      const found = await search(term, limit, this.registry({ auth }));
      const flag = (key: string): boolean | undefined =>
        filters[key] === undefined ? undefined : truth(key, filters[key] ?? []);
      const [official, automated] = [flag("is-official"), flag("is-automated")];
      const stars = Math.max(0, ...(filters["stars"] ?? []).map(starsOf));
      return found
        .filter((each) => official === undefined || each.official === official)
        .filter((each) => automated === undefined || each.automated === automated)
        .filter((each) => each.stars >= stars)
        .map((each) => ({
          star_count: each.stars,
          is_official: each.official,
          name: each.name,
          is_automated: each.automated,
          description: each.description,
        }));
    });
  }

  async login(body: JsonObject): Promise<JsonObject> {
    return refusingImages(async () => {
      const credentials = parseAuthConfig(body);
      if (credentials === undefined) throw new ApiError("INVALID", "no credentials given");
      const registry = registryOf(String(body["serveraddress"] ?? ""));
      const token = await login(registry, credentials, {
        settings: this.context.registries(),
      });
      return { Status: "Login Succeeded", IdentityToken: token ?? "" };
    });
  }

  async distribution(name: string, { auth }: RegistryChoice): Promise<JsonObject> {
    return refusingImages(async () => {
      const remote = await remoteImage(name, this.registry({ auth }));
      const { mediaType, digest, size } = remote;
      return { Descriptor: { mediaType, digest, size }, Platforms: remote.platforms };
    });
  }

  /** How to reach a registry for a client, and what it shows there. */
  private registry({ auth }: RegistryChoice): RegistryOptions {
    return { credentials: credentialsIn(auth), settings: this.context.registries() };
  }

  /** The containers there are, as far as images are concerned. */
  users(): ImageUser[] {
    return imageUsers(this.context.store);
  }

  /** What images take, for `GET /system/df`. */
  async diskUsage(): Promise<JsonObject> {
    const { images } = this.context;
    const users = this.users();
    const found = await listImages(images, {});
    const shared = await this.sharedSizes();
    const layers = new Map<Digest, number>();
    for (const image of await images.list()) {
      for (const diffId of image.config.diffIds) {
        layers.set(diffId, (await images.layers.facts(diffId)).contentBytes);
      }
    }
    return {
      LayersSize: [...layers.values()].reduce((sum, size) => sum + size, 0),
      Images: found.map((image) =>
        summarizeImage(image, NEWEST, {
          sharedSize: shared.get(image.id) ?? 0,
          containers: users.filter((user) => user.image === image.id).length,
        }),
      ),
    };
  }

  /** Of each image, the bytes of layers that another has, too. */
  private async sharedSizes(): Promise<ReadonlyMap<Digest, number>> {
    const { images } = this.context;
    const all = await images.list();
    const owners = new Map<Digest, number>();
    const chains = all.map((image) => ({ image, chain: chainIds(image.config.diffIds) }));
    for (const { chain } of chains) {
      for (const id of chain) owners.set(id, (owners.get(id) ?? 0) + 1);
    }
    const sizes = new Map<Digest, number>();
    for (const { image, chain } of chains) {
      let size = 0;
      for (const [i, diffId] of image.config.diffIds.entries()) {
        const id = chain[i];
        if (id === undefined || (owners.get(id) ?? 0) < 2) continue;
        size += (await images.layers.facts(diffId)).contentBytes;
      }
      sizes.set(image.id, size);
    }
    return sizes;
  }

  private removed(image: StoredImage | undefined, record: RemovalRecord): JsonObject {
    if ("untagged" in record) {
      if (image !== undefined) this.emit("untag", image.id, image, image.id);
      return { Untagged: record.untagged };
    }
    // Layers are among those that are deleted; only images make news.
    if (record.deleted === image?.id) this.emit("delete", image.id, image, image.id);
    return { Deleted: record.deleted };
  }

  private emit(action: string, id: string, image: StoredImage, name: string): void {
    this.context.events.emit("image", action, id, { ...image.config.config.Labels, name });
  }
}

/** The messages of a pull. */
class PullTelling {
  private readonly tell: Tell;
  private readonly progress: Progress;
  private readonly repository: string;
  /** The image is there already: its layers are not worth a word. */
  private known = false;

  constructor(tell: Tell, repository: string) {
    this.tell = tell;
    this.progress = new Progress(tell);
    this.repository = repository;
  }

  take(event: PullEvent): void {
    if (event.type === "resolved") {
      this.known = event.known;
      this.tell({ status: `Pulling from ${this.repository}`, id: event.reference });
      if (this.known) return;
      for (const { digest } of event.layers) {
        this.progress.status(shortId(digest), "Pulling fs layer");
      }
      return;
    }
    if (this.known) return;
    const id = shortId(event.layer);
    switch (event.type) {
      case "downloading":
        this.progress.bytes(id, "Downloading", event.current, event.total);
        if (event.current < event.total) break;
        this.progress.status(id, "Verifying Checksum");
        this.progress.status(id, "Download complete");
        this.progress.bytes(id, "Extracting", event.total, event.total);
        break;
      case "exists":
        this.progress.status(id, "Already exists");
        break;
      case "complete":
        this.progress.status(id, "Pull complete");
        break;
    }
  }
}

/** The messages of a push. */
class PushTelling {
  private readonly tell: Tell;
  private readonly progress: Progress;

  constructor(tell: Tell) {
    this.tell = tell;
    this.progress = new Progress(tell);
  }

  take(event: PushEvent): void {
    switch (event.type) {
      case "image":
        for (const layer of new Set(event.layers)) {
          this.progress.status(shortId(layer), "Preparing");
        }
        break;
      case "pushing":
        this.progress.bytes(shortId(event.layer), "Pushing", event.current, event.total);
        break;
      case "pushed":
        this.progress.status(shortId(event.layer), "Pushed");
        break;
      case "exists":
        this.progress.status(shortId(event.layer), "Layer already exists");
        break;
      case "skipped":
        this.progress.status(shortId(event.layer), "Skipped foreign layer");
        break;
      case "mounted":
        this.progress.status(shortId(event.layer), `Mounted from ${event.from}`);
        break;
      case "done": {
        const { tag, digest, size } = event;
        this.tell({ status: `${tag}: digest: ${digest} size: ${size}` });
        this.tell({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: size } });
        break;
      }
    }
  }
}

/** What cannot be read is nothing, as docker has it: some clients send odd things. */
function credentialsIn(header: string | undefined): Credentials | undefined {
  try {
    return parseAuthHeader(header);
  } catch {
    return undefined;
  }
}

function shortId(digest: Digest): string {
  return hexOf(digest).slice(0, SHORT_ID);
}

/** A name and a tag, or a digest, given apart. The tag counts, where the name has one of its own. */
function withTag(name: string, tag: string | undefined): string {
  if (tag === undefined || tag === "") return name;
  const bare = name.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
  return tag.includes(":") ? `${bare}@${tag}` : `${bare}:${tag}`;
}

/** `linux/arm64`, or newer clients' JSON of it. */
function platformOf(text: string | undefined): { platform?: Platform } {
  if (text === undefined || text === "") return {};
  if (!text.startsWith("{")) return { platform: parsePlatform(text) };
  let value: { os?: unknown; architecture?: unknown; variant?: unknown };
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError("INVALID", `invalid platform: ${text.slice(0, 100)}`);
  }
  const { os = "linux", architecture = "", variant } = value;
  return { platform: parsePlatform([os, architecture, variant].filter(Boolean).join("/")) };
}

function starsOf(text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new ApiError("INVALID_FILTER_VALUE", "stars", text);
}
