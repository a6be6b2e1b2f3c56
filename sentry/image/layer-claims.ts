import { readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, isDigest } from "./digest.ts";
import { storeError } from "./errors.ts";
import { isCode, type StoreFiles, writeDurably } from "./store-files.ts";

/** Layers that somebody wants kept although no image has them, such as the results of build steps. */
export interface LayerClaim {
  /** Lower-case hexadecimal digits, chosen by who claims. */
  readonly name: string;
  readonly layers: readonly Digest[];
  /** Whatever the claimant wants to know again; JSON. */
  readonly note: Readonly<Record<string, unknown>>;
}

const NAME = /^[0-9a-f]{1,64}$/;

/** The claims on layers of one store, a file each. */
export class LayerClaims {
  readonly #files: StoreFiles;

  constructor(files: StoreFiles) {
    this.#files = files;
  }

  async list(): Promise<readonly LayerClaim[]> {
    let names: readonly string[];
    try {
      names = await readdir(this.#files.claims);
    } catch (error) {
      if (isCode(error, "ENOENT")) return [];
      throw storeError(error);
    }
    const claims = await Promise.all(names.filter((name) => NAME.test(name)).map(this.get, this));
    return claims.filter((claim) => claim !== undefined);
  }

  async get(name: string): Promise<LayerClaim | undefined> {
    let claim: Partial<LayerClaim>;
    try {
      claim = JSON.parse(await readFile(this.#path(name), "utf8"));
    } catch (error) {
      // A file that a crash has cut off claims nothing.
      if (isCode(error, "ENOENT") || error instanceof SyntaxError) return undefined;
      throw storeError(error);
    }
    const { layers = [], note = {} } = claim;
    return layers.every(isDigest) ? { name, layers, note } : undefined;
  }

  /** Made while the caller is inside of `ImageStore.adding`, so that the layers are still there. */
  async put({ name, layers, note }: LayerClaim): Promise<void> {
    const staged = this.#files.newStagingPath();
    await writeDurably(staged, Buffer.from(JSON.stringify({ layers, note })));
    await rename(staged, this.#path(name));
  }

  async remove(name: string): Promise<void> {
    await rm(this.#path(name), { force: true });
  }

  #path(name: string): string {
    if (!NAME.test(name)) throw new Error(`${name} is no name of a claim`);
    return join(this.#files.claims, name);
  }
}
