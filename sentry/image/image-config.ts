import { type Digest, isDigest } from "./digest.ts";
import { JsonReader } from "./json.ts";
import { LAYERS_MAX } from "./limits.ts";
import { normalise, type Platform } from "./platform.ts";

/** How a container of the image runs unless told otherwise. Text, as in the JSON. */
export interface RunConfig {
  readonly Env: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  /** Absolute, or empty for the root directory. */
  readonly WorkingDir: string;
  /** `user`, `uid`, `user:group`... or empty for root. */
  readonly User: string;
  /** `80/tcp`, ... */
  readonly ExposedPorts: readonly string[];
  /** Paths that each container has a volume at. */
  readonly Volumes: readonly string[];
  readonly StopSignal?: string;
  readonly Labels: Readonly<Record<string, string>>;
}

/** What an image's config says; see the OCI image configuration. */
export interface ImageConfig {
  readonly platform: Platform;
  /** RFC 3339, or undefined. */
  readonly created?: string;
  readonly author?: string;
  readonly config: RunConfig;
  /** Of the layers, bottom to top. */
  readonly diffIds: readonly Digest[];
}

const LIST_MAX = 4096;
/** All ports of tcp, udp and sctp. */
const PORTS_MAX = 3 * 65_536;
const json = new JsonReader("CONFIG_INVALID");

/**
 * Reads an image's config, OCI's or docker's.
 * @throws {ImageError} CONFIG_INVALID
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const document = json.parse(bytes);
  const rootfs = json.object(document["rootfs"], "rootfs");
  const diffIds = json.array(rootfs["diff_ids"], "rootfs.diff_ids", LAYERS_MAX);
  if (diffIds.length === 0) throw json.error("the image has no layer");
  if (!diffIds.every(isDigest)) throw json.error("rootfs.diff_ids has what is no digest");
  const created = json.optionalString(document["created"], "created");
  const author = json.optionalString(document["author"], "author");
  return {
    platform: normalise(
      json.optionalString(document["os"], "os") || "linux",
      json.optionalString(document["architecture"], "architecture") || "amd64",
      json.optionalString(document["variant"], "variant"),
    ),
    ...(created === undefined ? {} : { created }),
    ...(author === undefined ? {} : { author }),
    config: parseRunConfig(document["config"]),
    diffIds,
  };
}

function parseRunConfig(value: unknown): RunConfig {
  const config = json.optionalObject(value, "config");
  const entrypoint = json.optionalStrings(config["Entrypoint"], "config.Entrypoint", LIST_MAX);
  const cmd = json.optionalStrings(config["Cmd"], "config.Cmd", LIST_MAX);
  const stopSignal = json.optionalString(config["StopSignal"], "config.StopSignal");
  return {
    Env: json.optionalStrings(config["Env"], "config.Env", LIST_MAX) ?? [],
    ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
    ...(cmd === undefined ? {} : { Cmd: cmd }),
    WorkingDir: json.optionalString(config["WorkingDir"], "config.WorkingDir") ?? "",
    User: json.optionalString(config["User"], "config.User") ?? "",
    ExposedPorts: keys(config["ExposedPorts"], "config.ExposedPorts", PORTS_MAX),
    Volumes: keys(config["Volumes"], "config.Volumes", LIST_MAX),
    ...(stopSignal ? { StopSignal: stopSignal } : {}),
    Labels: labels(config["Labels"]),
  };
}

/** Sets are objects with empty values in Go's JSON. */
function keys(value: unknown, what: string, max: number): readonly string[] {
  const set = Object.keys(json.optionalObject(value, what));
  if (set.length > max) throw json.error(`${what} has ${set.length} elements`);
  return set;
}

function labels(value: unknown): Readonly<Record<string, string>> {
  // Without a prototype: the keys are the image's.
  const found: Record<string, string> = Object.create(null);
  for (const [key, text] of Object.entries(json.optionalObject(value, "config.Labels"))) {
    found[key] = json.string(text, "config.Labels");
  }
  return found;
}
