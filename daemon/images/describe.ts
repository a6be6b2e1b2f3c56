import type { JsonObject } from "../../api/engine/json.ts";
import { type ApiVersion, atLeast } from "../../api/version.ts";
import { type ContainerConfig, readDocument } from "../../sentry/image/image-document.ts";
import type { StoredImage } from "../../sentry/image/image-store.ts";

/** What docker calls whoever keeps the layers. */
export const STORAGE_DRIVER = "dd";

const NEVER = "0001-01-01T00:00:00Z";
const NONE_TAG = "<none>:<none>";
const NONE_DIGEST = "<none>@<none>";

/** What every config has, set or not: Go writes it so. */
const CONFIG_DEFAULTS: ContainerConfig = {
  User: "",
  Env: null,
  Cmd: null,
  Volumes: null,
  WorkingDir: "",
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};

/** What configs had besides until API 1.50: it means something in containers only. */
const CONTAINER_DEFAULTS: ContainerConfig = {
  Hostname: "",
  Domainname: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: "",
};
/** What newer versions leave out of an image's config, whatever it says. */
const OF_CONTAINERS = new Set([
  ...Object.keys(CONTAINER_DEFAULTS),
  "MacAddress",
  "NetworkDisabled",
  "StopTimeout",
]);
/** What Go leaves out when it is empty. */
const OMIT_EMPTY = new Set(["ExposedPorts", "Healthcheck", "ArgsEscaped", "StopSignal", "Shell"]);

/** An image's config as `inspect` shows it. */
export function describeConfig(config: ContainerConfig, version: ApiVersion): JsonObject {
  const modern = atLeast(version, "1.50");
  const described: Record<string, unknown> = modern
    ? { ...CONFIG_DEFAULTS }
    : { ...CONTAINER_DEFAULTS, ...CONFIG_DEFAULTS };
  for (const [key, value] of Object.entries(config)) {
    if (modern && OF_CONTAINERS.has(key)) continue;
    if (value === undefined || (OMIT_EMPTY.has(key) && isEmpty(value))) continue;
    described[key] = value;
  }
  return described;
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === null || value === false || value === "";
}

/** An image as `GET /images/json` lists it. */
export function summarizeImage(
  image: StoredImage,
  version: ApiVersion,
  { sharedSize, containers }: { readonly sharedSize: number; readonly containers: number },
): JsonObject {
  const { config } = readDocument(image.configBytes);
  // Until 1.43 an image without a name had one that says so.
  const nameless = image.tags.length === 0 && image.digests.length === 0;
  const dangling = nameless && !atLeast(version, "1.43");
  return {
    Containers: containers,
    Created: createdSeconds(image),
    Id: image.id,
    Labels: config.Labels ?? null,
    ParentId: image.parent ?? "",
    RepoDigests: dangling ? [NONE_DIGEST] : image.digests,
    RepoTags: dangling ? [NONE_TAG] : image.tags,
    SharedSize: sharedSize,
    Size: image.size,
    ...(atLeast(version, "1.44") ? {} : { VirtualSize: image.size }),
  };
}

/** An image as `GET /images/NAME/json` shows it. */
export function describeImage(
  image: StoredImage,
  taggedAt: Date | undefined,
  version: ApiVersion,
): JsonObject {
  const { config, history } = readDocument(image.configBytes);
  const { platform, created, author } = image.config;
  return {
    Id: image.id,
    RepoTags: image.tags,
    RepoDigests: image.digests,
    Parent: image.parent ?? "",
    Comment: history.at(-1)?.comment ?? "",
    ...(created !== undefined || !atLeast(version, "1.44") ? { Created: created ?? NEVER } : {}),
    DockerVersion: "",
    Author: author ?? "",
    Config: describeConfig(config, version),
    Architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { Variant: platform.variant }),
    Os: platform.os,
    Size: image.size,
    ...(atLeast(version, "1.44") ? {} : { VirtualSize: image.size }),
    GraphDriver: { Data: null, Name: STORAGE_DRIVER },
    RootFS: { Type: "layers", Layers: image.config.diffIds },
    Metadata: { LastTagTime: taggedAt?.toISOString() ?? NEVER },
    ...(atLeast(version, "1.45")
      ? {}
      : { Container: "", ContainerConfig: describeConfig(config, version) }),
  };
}

/** When an image was made, in seconds since the epoch; 0 where it does not say. */
export function createdSeconds({ config }: StoredImage): number {
  return secondsOf(config.created);
}

export function secondsOf(time: string | undefined): number {
  const milliseconds = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(milliseconds) ? 0 : Math.floor(milliseconds / 1000);
}
