import type { Digest } from "./digest.ts";
import { JsonReader } from "./json.ts";
import { HISTORY_MAX } from "./limits.ts";
import type { Platform } from "./platform.ts";

/**
 * How a container of an image runs, as the JSON of image configs and of the Engine API has it. Only what has
 * a meaning to us has a type here; whatever else an image says is kept.
 */
export interface ContainerConfig {
  readonly Hostname?: string;
  readonly Domainname?: string;
  readonly User?: string;
  /** Sets are objects with empty values in Go's JSON. */
  readonly ExposedPorts?: Readonly<Record<string, object>> | null;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Entrypoint?: readonly string[] | null;
  readonly Healthcheck?: object | null;
  readonly ArgsEscaped?: boolean;
  readonly Image?: string;
  readonly Volumes?: Readonly<Record<string, object>> | null;
  readonly WorkingDir?: string;
  readonly OnBuild?: readonly string[] | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string;
  readonly StopTimeout?: number | null;
  readonly Shell?: readonly string[] | null;
  readonly [other: string]: unknown;
}

/** One step in the making of an image. Those that are not `empty_layer` are the layers, in their order. */
export interface HistoryEntry {
  /** RFC 3339. */
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** An image's config: see the OCI image configuration. What `parseImageConfig` reads is part of it. */
export interface ImageDocument {
  readonly platform: Platform;
  readonly created?: string;
  readonly author?: string;
  readonly config: ContainerConfig;
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryEntry[];
}

const json = new JsonReader("CONFIG_INVALID");

/**
 * The config and the history of an image, as they were written.
 * @throws {ImageError} CONFIG_INVALID
 */
export function readDocument(bytes: Uint8Array): Pick<ImageDocument, "config" | "history"> {
  const document = json.parse(bytes);
  return {
    config: json.optionalObject(document["config"], "config"),
    history: history(document["history"]),
  };
}

function history(value: unknown): HistoryEntry[] {
  if (value === undefined || value === null) return [];
  return json.array(value, "history", HISTORY_MAX).map((each) => {
    const entry = json.object(each, "history");
    const text = (key: "created" | "created_by" | "author" | "comment"): object => {
      const found = json.optionalString(entry[key], `history.${key}`);
      return found === undefined ? {} : { [key]: found };
    };
    return {
      ...text("created"),
      ...text("created_by"),
      ...text("author"),
      ...text("comment"),
      ...(entry["empty_layer"] === true ? { empty_layer: true } : {}),
    };
  });
}

/** The bytes of an image's config, always the same for the same parts. */
/** The config with its maps in the order of their names, as Go writes them: what is the same looks the same. */
function inOrder(config: ContainerConfig): ContainerConfig {
  const { ExposedPorts, Volumes, Labels } = config;
  return {
    ...config,
    ...(ExposedPorts == null ? {} : { ExposedPorts: sorted(ExposedPorts) }),
    ...(Volumes == null ? {} : { Volumes: sorted(Volumes) }),
    ...(Labels == null ? {} : { Labels: sorted(Labels) }),
  };
}

function sorted<T>(map: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function encodeDocument(document: ImageDocument): Uint8Array {
  const { platform, created, author, config, diffIds, history } = document;
  return Buffer.from(
    JSON.stringify({
      architecture: platform.architecture,
      author,
      config: inOrder(config),
      created,
      history,
      os: platform.os,
      rootfs: { type: "layers", diff_ids: diffIds },
      variant: platform.variant,
    }),
  );
}
