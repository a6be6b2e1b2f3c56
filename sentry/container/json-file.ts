import { readFileSync, renameSync, writeFileSync } from "node:fs";

/**
 * Replaces the file `path` at once: whoever reads sees the old or the new value, whole. The caller sees to
 * it that nobody else writes the same file. Not synced, which would cost a start more than everything
 * else: after a power failure the file may be damaged, which {@link readJson} reports as missing.
 */
export function writeJson(path: string, value: unknown): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, `${JSON.stringify(value)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}

/** The value in the file `path`, which this project wrote. @returns undefined when missing or damaged. */
export function readJson<T>(path: string): T | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}
