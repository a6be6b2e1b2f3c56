import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { storeError } from "./errors.ts";
import { FileLock } from "./lock.ts";

/**
 * Where everything that `dd` keeps is: `$DD_ROOT`, else `dd` in the user's data directory.
 * See the XDG base directory specification.
 */
export function defaultRoot(environment: NodeJS.ProcessEnv = process.env): string {
  const chosen = environment["DD_ROOT"];
  if (chosen) return chosen;
  const data = environment["XDG_DATA_HOME"];
  return join(data && isAbsolute(data) ? data : join(homedir(), ".local", "share"), "dd");
}

/**
 * The directories and locks of the image store. Whatever is in `layers` and `configs` is complete:
 * things are made in `staging`, and renamed when they are durable. A process that dies leaves
 * garbage in `staging` only, which the next one to be alone in the store removes.
 */
export class StoreFiles {
  readonly layers: string;
  readonly configs: string;
  /** Configs of images that were removed, as long as a container may have them. */
  readonly kept: string;
  readonly claims: string;
  readonly staging: string;
  readonly references: string;
  /** What was made of layers' programs, beside the store: sentry/translations. */
  readonly translations: string;
  readonly #root: string;

  constructor(root: string) {
    this.#root = join(root, "images");
    // The number is the version of the packs: those of another version are not seen.
    this.layers = join(this.#root, "layers-2");
    this.configs = join(this.#root, "configs");
    this.kept = join(this.#root, "kept");
    this.claims = join(this.#root, "claims");
    this.staging = join(this.#root, "staging");
    this.references = join(this.#root, "references.json");
    this.translations = join(root, "translations");
  }

  /** Makes the directories, for their owner only. */
  async prepare(): Promise<void> {
    try {
      await mkdir(this.#root, { recursive: true, mode: 0o700 });
      for (const directory of [this.layers, this.configs, this.claims, this.staging]) {
        await mkdir(directory, { recursive: true, mode: 0o700 });
      }
    } catch (error) {
      throw storeError(error);
    }
  }

  /** A path in `staging` that nobody else uses; nothing is there yet. */
  newStagingPath(): string {
    return join(this.staging, randomBytes(12).toString("hex"));
  }

  /**
   * Makes `staged` visible as `target`, durably.
   * @returns false where `target` exists already: then `staged` is removed
   */
  async publish(staged: string, target: string): Promise<boolean> {
    await syncDirectory(staged);
    try {
      await rename(staged, target);
    } catch (error) {
      if (!isCode(error, "ENOTEMPTY") && !isCode(error, "EEXIST")) throw error;
      await rm(staged, { recursive: true, force: true });
      return false;
    }
    await syncDirectory(join(target, ".."));
    return true;
  }

  /** Writes a small file durably, in the place of another if there is one. */
  async replace(path: string, bytes: Uint8Array): Promise<void> {
    const staged = this.newStagingPath();
    await writeDurably(staged, bytes);
    await rename(staged, path);
    await syncDirectory(dirname(path));
  }

  /** Removes a directory such that it is there as a whole or not at all. */
  async withdraw(path: string): Promise<void> {
    const doomed = this.newStagingPath();
    try {
      await rename(path, doomed);
    } catch (error) {
      if (isCode(error, "ENOENT")) return;
      throw error;
    }
    await rm(doomed, { recursive: true, force: true });
  }

  /**
   * Held by whoever adds to the store or relies on layers that no image refers to yet; exclusively
   * by who removes such layers.
   */
  lockPath(): string {
    return join(this.#root, "lock");
  }

  /** Held while the table of references is read, changed and written. */
  referencesLockPath(): string {
    return join(this.#root, "references.lock");
  }

  /** Held by who makes one layer, so that others wait for it and reuse it. */
  layerLockPath(hex: string): string {
    return join(this.staging, `${hex}.lock`);
  }

  /** Empties `staging`; only for who holds the store exclusively. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.staging)) {
      await rm(join(this.staging, name), { recursive: true, force: true });
    }
  }

  /** Runs `work` with the store exclusively, or not at all where others are busy in it. */
  async tryAlone(work: () => Promise<void>): Promise<void> {
    const lock = await FileLock.try(this.lockPath(), "exclusive");
    if (lock === undefined) return;
    try {
      await work();
    } finally {
      await lock.release();
    }
  }
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Writes a small file durably. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
}
