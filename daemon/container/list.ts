import type { ListChoice } from "../../api/engine/containers.ts";
import type { JsonObject } from "../../api/engine/json.ts";
import { ApiError } from "../../api/errors.ts";
import type { Filters } from "../../api/filters.ts";
import { toText } from "../../sentry/abi/bytes.ts";
import { parseLink } from "../../sentry/container/network/links.ts";
import type { Container, ContainerRecord } from "../../sentry/container/record.ts";
import { describeMounts } from "./describe-mounts.ts";
import { commandText, networkModeOf } from "./inspect.ts";
import { type StatusWord, statusText } from "./status.ts";

const STATUSES = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const HEALTHS = ["none", "starting", "healthy", "unhealthy"];

/** A container with what its files do not say. */
export interface Listed {
  readonly container: Container;
  readonly status: StatusWord;
  /** `starting`, `healthy`, `unhealthy`, or nothing. */
  readonly health: string;
  /** `NetworkSettings` of inspect. */
  readonly network: JsonObject;
}

/**
 * Those of `all`, newest first, that `docker ps` with these choices shows.
 * @param families of what the filter `ancestor` names, the ids of the images that are meant.
 * @throws {ApiError} for filters that mean nothing.
 */
export function selectContainers(
  all: readonly Listed[],
  { all: everything, limit, filters }: Pick<ListChoice, "all" | "limit" | "filters">,
  families: ReadonlyMap<string, ReadonlySet<string> | undefined> = new Map(),
): readonly Listed[] {
  checkValues(filters, "status", "state", STATUSES);
  checkValues(filters, "health", "health status", HEALTHS);
  const exitCodes = filters.get("exited").map((value) => {
    if (!/^-?\d{1,9}$/.test(value)) {
      const why = `strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`;
      throw new ApiError("INVALID_FILTER_CHOICE", "exited", value, why);
    }
    return Number(value);
  });
  filters.flag("is-task");
  const before = filters.get("before").map((name) => createdAt(all, name));
  const since = filters.get("since").map((name) => createdAt(all, name));
  const hidden =
    !everything && limit === undefined && !filters.has("status") && !filters.has("exited");
  const selected = all.filter(({ container, status, health, network }) => {
    const { record, state } = container;
    if (hidden && status !== "running" && status !== "paused" && status !== "restarting") {
      return false;
    }
    return (
      filters.some("id", (id) => record.spec.id.startsWith(id)) &&
      filters.some("name", (name) => nameMatches(record.name, name)) &&
      filters.matchesLabels(record.labels) &&
      filters.some("status", (wanted) => wanted === status) &&
      filters.some("health", (wanted) => wanted === (health === "" ? "none" : health)) &&
      filters.some(
        "ancestor",
        (image) => families.get(image)?.has(record.spec.rootfs.image) ?? isOfImage(record, image),
      ) &&
      filters.some("volume", (name) => hasMount(record, name)) &&
      filters.some("network", (name) => hasNetwork(network, name)) &&
      filters.some("publish", (port) => hasPort(network, port, "PublicPort")) &&
      filters.some("expose", (port) => hasPort(network, port, "PrivatePort")) &&
      (exitCodes.length === 0 ||
        (state.status === "exited" && state.startedAt > 0 && exitCodes.includes(state.exitCode))) &&
      before.every((time) => record.createdAt < time) &&
      since.every((time) => record.createdAt > time) &&
      filters.flag("is-task") !== true
    );
  });
  return limit === undefined ? selected : selected.slice(0, limit);
}

function checkValues(filters: Filters, name: string, what: string, known: readonly string[]): void {
  for (const value of filters.get(name)) {
    if (known.includes(value)) continue;
    const why = `invalid value for ${what} (${value}): must be one of ${known.join(", ")}`;
    throw new ApiError("INVALID_FILTER_CHOICE", name, value, why);
  }
}

function createdAt(all: readonly Listed[], reference: string): number {
  const name = reference.replace(/^\//, "");
  const found = all.find(
    ({ container: { record } }) => record.name === name || record.spec.id.startsWith(name),
  );
  if (found === undefined) throw new ApiError("NO_SUCH_CONTAINER", reference);
  return found.container.record.createdAt;
}

/**
 * Docker matches names with a regular expression of Go's against `/name` and `name`. Only its anchors, dots
 * and wildcards are known here: a stranger's expression could keep the daemon busy for ever.
 */
export function nameMatches(name: string, wanted: string): boolean {
  const start = wanted.startsWith("^");
  const end = wanted.endsWith("$");
  const body = wanted.slice(start ? 1 : 0, end ? -1 : undefined);
  return [name, `/${name}`].some((candidate) => {
    const pieces = body.split(/\.\*|\*/);
    let from = 0;
    for (const [i, piece] of pieces.entries()) {
      const literal = piece.replaceAll("\\", "");
      const last = i === pieces.length - 1;
      if (last && end) {
        const at = candidate.length - literal.length;
        if (at < from || !candidate.endsWith(literal)) return false;
        return i > 0 || !start || at === 0;
      }
      const at = candidate.indexOf(literal, from);
      if (at < 0 || (i === 0 && start && at !== 0)) return false;
      from = at + literal.length;
    }
    return true;
  });
}

function isOfImage({ imageName, spec }: ContainerRecord, wanted: string): boolean {
  const { image } = spec.rootfs;
  const bare = (name: string) => name.replace(/:latest$/, "");
  return (
    bare(imageName) === bare(wanted) ||
    image === wanted ||
    (/^[0-9a-f]{4,64}$/.test(wanted) && image.startsWith(`sha256:${wanted}`))
  );
}

function hasMount({ spec }: ContainerRecord, wanted: string): boolean {
  return spec.mounts.some(
    (mount) =>
      toText(mount.target) === wanted ||
      (mount.kind === "volume" && mount.name === wanted) ||
      (mount.kind === "bind" && toText(mount.source) === wanted),
  );
}

function hasNetwork(network: JsonObject, wanted: string): boolean {
  const networks = network["Networks"] as Record<string, JsonObject>;
  return Object.entries(networks).some(
    ([name, { NetworkID }]) =>
      name === wanted || (wanted !== "" && String(NetworkID).startsWith(wanted)),
  );
}

/** `80`, `80/tcp`, `8000-9000/udp`: the host's or the container's side of the ports a running container has. */
function hasPort(network: JsonObject, wanted: string, side: "PublicPort" | "PrivatePort"): boolean {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(wanted);
  if (match === null) throw new ApiError("INVALID", `invalid port: ${wanted}`);
  const first = Number(match[1]);
  const last = Number(match[2] ?? first);
  const protocol = match[3] ?? "tcp";
  return portList(network["Ports"] as PortMap).some(({ [side]: port, Type }) => {
    return Type === protocol && Number(port) >= first && Number(port) <= last;
  });
}

type PortMap = Record<string, readonly JsonObject[] | null>;

/** What else is told of a container in a list. */
export interface Summary {
  /** What it is shown to be of. */
  readonly image?: string;
  /** Further names of it. */
  readonly aliases?: readonly string[];
  readonly annotations?: boolean;
}

/** A container as `GET /containers/json` tells it. */
export function summarize(
  { container, status, health, network }: Listed,
  { image = container.record.imageName, aliases = [], annotations = false }: Summary = {},
): JsonObject {
  const { record, state } = container;
  const { spec } = record;
  const { Networks, Ports } = network;
  const noted = (record.engine?.hostConfig["Annotations"] ?? {}) as JsonObject;
  return {
    Id: spec.id,
    Names: [`/${record.name}`, ...aliases],
    Image: image,
    ImageID: spec.rootfs.image,
    Command: commandText(record),
    Created: Math.floor(record.createdAt / 1000),
    Ports: portList(Ports as PortMap),
    Labels: record.labels,
    State: status,
    Status: statusText(state, status === "restarting", health),
    HostConfig: {
      NetworkMode: networkModeOf(spec.network),
      ...(annotations && Object.keys(noted).length > 0 ? { Annotations: noted } : {}),
    },
    NetworkSettings: { Networks },
    Mounts: describeMounts(record),
  };
}

/** The names that the links of others give a container: `/OWNER/ALIAS`. */
export function aliasesOf({ container: { record } }: Listed, all: readonly Listed[]): string[] {
  return all.flatMap(({ container, network }) => {
    const networks = network["Networks"] as Readonly<Record<string, JsonObject>>;
    const links = (networks["bridge"]?.["Links"] ?? []) as readonly string[];
    return links
      .map(parseLink)
      .filter(({ name }) => name === record.name || record.spec.id.startsWith(name))
      .map(({ alias }) => `/${container.record.name}/${alias}`);
  });
}

function portList(ports: PortMap): JsonObject[] {
  return Object.entries(ports).flatMap(([key, bindings]) => {
    const [port = "", Type = "tcp"] = key.split("/", 2);
    const PrivatePort = Number(port);
    if (bindings === null || bindings.length === 0) return [{ PrivatePort, Type }];
    return bindings.map(({ HostIp, HostPort }) => ({
      IP: HostIp,
      PrivatePort,
      PublicPort: Number(HostPort),
      Type,
    }));
  });
}
