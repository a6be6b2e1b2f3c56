import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Steps that are remembered; the oldest are forgotten first. */
const STEPS_MAX = 10_000;
const ID = /^[0-9a-f]{64}$/;
const fileIn = (root: string) => join(root, "build", "classic-steps");

/**
 * The steps without files that the classic builder has done: they cost nothing, but its clients are told when one was
 * done before. Nothing else depends on it.
 */
export class KnownSteps {
  readonly #path: string;
  readonly #before: ReadonlySet<string>;
  readonly #done = new Set<string>();

  /** @param root the store's directory */
  constructor(root: string) {
    this.#path = fileIn(root);
    this.#before = new Set(read(this.#path));
  }

  has(id: string): boolean {
    return this.#before.has(id) || this.#done.has(id);
  }

  add(id: string): void {
    this.#done.add(id);
  }

  /** Keeps them, with what other builds have done meanwhile. */
  write(): void {
    if (this.#done.size === 0) return;
    const others = read(this.#path).filter((id) => !this.#done.has(id));
    const kept = [...others, ...this.#done].slice(-STEPS_MAX);
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const fresh = `${this.#path}.new`;
    // All at once: builds of this process take turns, and no other process builds like this.
    writeFileSync(fresh, kept.map((id) => `${id}\n`).join(""), { mode: 0o600 });
    renameSync(fresh, this.#path);
  }

  static async forget(root: string): Promise<void> {
    await rm(fileIn(root), { force: true });
  }
}

function read(path: string): readonly string[] {
  try {
    return readFileSync(path, "latin1")
      .split("\n")
      .filter((line) => ID.test(line))
      .slice(-STEPS_MAX);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
