import type { Directories } from "../sentry/container/directories.ts";
import type { NetworkStore } from "../sentry/container/network/network-store.ts";
import type { ContainerStore } from "../sentry/container/store.ts";
import type { ImageStore } from "../sentry/image/image-store.ts";
import type { RegistrySettings } from "../sentry/image/registry-settings.ts";
import type { Mode } from "../sentry/spec.ts";
import type { EventLog } from "./events.ts";

export type LogLevel = "error" | "warn" | "info" | "debug";

/** What every part of the daemon works with. */
export interface DaemonContext {
  readonly directories: Directories;
  readonly store: ContainerStore;
  readonly networks: NetworkStore;
  readonly images: ImageStore;
  readonly events: EventLog;
  /** How registries are reached, as of now. */
  readonly registries: () => RegistrySettings;
  /** The path of the program that becomes a container's process; see sentry/container/background.ts. */
  readonly backgroundProgram: string;
  /** The path of the program of a build step; see builder/step. */
  readonly buildStepProgram: string;
  /** The directory of the dashboard's page. */
  readonly pageDirectory: string;
  /** Of containers whose request does not choose. */
  readonly defaultMode: Mode;
  /** The address clients use, for whoever asks. */
  readonly socketPath: string;
  /** Of dd. */
  readonly version: string;
  readonly log: (level: LogLevel, message: string, fields?: object) => void;
}
