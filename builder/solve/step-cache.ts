import { createHash } from "node:crypto";
import type { Digest } from "../../sentry/image/digest.ts";
import type { ImageStore } from "../../sentry/image/image-store.ts";
import type { LayerClaim } from "../../sentry/image/layer-claims.ts";

/** The result of a step, to be used again by whoever does the same on the same layers. */
export interface CacheRecord {
  /** The step's key. */
  readonly id: string;
  /** The layers that the step has made, none or one. */
  readonly layers: readonly Digest[];
  /** The step as people know it: `[2/3] RUN make`. */
  readonly description: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly usageCount: number;
  /** Bytes of the files in its layers. */
  readonly size: number;
  /** Whether an image has its layers, too: then removing it frees nothing. */
  readonly shared: boolean;
}

/** What a step has made, and when. */
export interface StepResult {
  /** None or one. */
  readonly layers: readonly Digest[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** Which records to forget. */
export interface PruneOptions {
  /** Also those whose layers are in images. */
  readonly all: boolean;
  /** Keep what has been used since: milliseconds since the epoch. */
  readonly unusedSince?: number | undefined;
  /** Keep the last used as long as they have no more bytes than this. */
  readonly keepBytes?: number | undefined;
  readonly matches?: (record: CacheRecord) => boolean;
}

const KIND = "build-step";

/** The key of a step: the layers that it stands on, and everything that it depends on besides. */
export function stepKey(layers: readonly Digest[], step: object): string {
  return createHash("sha256")
    .update(JSON.stringify([layers, step]))
    .digest("hex");
}

/**
 * What the steps of earlier builds have made. Kept in the image store as claims on layers, so that any process may
 * build, prune and remove images at any time.
 */
export class StepCache {
  readonly #store: ImageStore;

  constructor(store: ImageStore) {
    this.#store = store;
  }

  /** What the step has made, if it is known and there. The caller is adding to the store. */
  async find(key: string): Promise<StepResult | undefined> {
    const claim = await this.#store.claims.get(key);
    if (claim?.note["kind"] !== KIND) return undefined;
    for (const layer of claim.layers) if (!(await this.#store.layers.has(layer))) return undefined;
    const usageCount = Number(claim.note["usageCount"] ?? 0) + 1;
    const note = { ...claim.note, lastUsedAt: Date.now(), usageCount };
    await this.#store.claims.put({ ...claim, note });
    return { layers: claim.layers, createdAt: Number(claim.note["createdAt"] ?? 0) };
  }

  async add(key: string, layers: readonly Digest[], description: string): Promise<StepResult> {
    const now = Date.now();
    const note = { kind: KIND, description, createdAt: now, lastUsedAt: now, usageCount: 1 };
    await this.#store.claims.put({ name: key, layers, note });
    return { layers, createdAt: now };
  }

  /** All records, the last used first. */
  async list(): Promise<readonly CacheRecord[]> {
    const inImages = new Set<Digest>();
    for (const { config } of await this.#store.list()) {
      for (const layer of config.diffIds) inImages.add(layer);
    }
    const records: CacheRecord[] = [];
    for (const claim of await this.#store.claims.list()) {
      if (claim.note["kind"] === KIND) records.push(await this.#record(claim, inImages));
    }
    return records.sort((a, b) => b.lastUsedAt - a.lastUsedAt);
  }

  /** Forgets records, and frees the layers that nobody else needs. @returns what was forgotten */
  async prune(options: PruneOptions): Promise<readonly CacheRecord[]> {
    const { all, unusedSince, keepBytes, matches = () => true } = options;
    let kept = 0;
    const forgotten: CacheRecord[] = [];
    for (const record of await this.list()) {
      const isWanted =
        (!all && record.shared) ||
        (unusedSince !== undefined && record.lastUsedAt >= unusedSince) ||
        !matches(record) ||
        (keepBytes !== undefined && kept + record.size <= keepBytes);
      if (isWanted) kept += record.size;
      else forgotten.push(record);
    }
    for (const { id } of forgotten) await this.#store.claims.remove(id);
    if (forgotten.length > 0) await this.#store.collect();
    return forgotten;
  }

  async #record(claim: LayerClaim, inImages: ReadonlySet<Digest>): Promise<CacheRecord> {
    const { name: id, layers, note } = claim;
    let size = 0;
    for (const layer of layers) {
      if (await this.#store.layers.has(layer))
        size += (await this.#store.layers.facts(layer)).contentBytes;
    }
    return {
      id,
      layers,
      description: String(note["description"] ?? ""),
      createdAt: Number(note["createdAt"] ?? 0),
      lastUsedAt: Number(note["lastUsedAt"] ?? 0),
      usageCount: Number(note["usageCount"] ?? 0),
      size,
      shared: layers.length > 0 && layers.every((layer) => inImages.has(layer)),
    };
  }
}
