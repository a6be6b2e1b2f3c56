import { readFileSync } from "node:fs";
import {
  type Directories,
  directoriesOf,
  ensureDirectories,
} from "../sentry/container/directories.ts";
import { ContainerStore } from "../sentry/container/store.ts";

/** The user's directories, made where missing. */
export function openDirectories(): Directories {
  const directories = directoriesOf(process.env);
  ensureDirectories(directories);
  return directories;
}

export function openContainers(): ContainerStore {
  return new ContainerStore(openDirectories());
}

/** The version of this installation. */
export function version(): string {
  const file = new URL("../../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
