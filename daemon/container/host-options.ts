import { ApiError } from "../../api/errors.ts";
import type { CreateBody, HostConfigBody } from "../../api/routes/container-bodies.ts";
import type { HostOptions } from "../../sentry/container/host-options.ts";
import type { ContainerRecord } from "../../sentry/container/record.ts";
import type { ContainerStore } from "../../sentry/container/store.ts";
import { findContainer } from "../networks/find.ts";
import { wordsOf } from "./words.ts";

/** What a client asks for beyond the ordinary. @param warnings gets what is not done as asked. */
export function hostOptionsOf(body: CreateBody, warnings: string[]): HostOptions {
  const hostConfig: HostConfigBody = body.HostConfig ?? {};
  for (const [name, what] of NAMESPACES) {
    const asked = hostConfig[name];
    if (asked && !VALID.test(asked)) throw new ApiError("INVALID", `invalid ${what}: ${asked}`);
    if (asked === "host" || asked?.startsWith("container:") === true) {
      warnings.push(`${what} "${asked}" is not supported: the container has its own`);
    }
  }
  refuseDevices(hostConfig.DeviceRequests);
  if (Object.keys(hostConfig.Annotations ?? {}).includes("")) {
    const why = "the empty string is not permitted as an annotation key";
    throw new ApiError("INVALID", `invalid Annotations: ${why}`);
  }
  const score = hostConfig.OomScoreAdj ?? 0;
  if (score < -1000 || score > 1000) {
    const range = "range for oom score adj is [-1000, 1000]";
    throw new ApiError("INVALID", `Invalid value ${score}, ${range}`);
  }
  if (hostConfig.OomScoreAdj) {
    warnings.push("The OOM score adjustment cannot be enforced here.");
  }
  return {
    capAdd: wordsOf(hostConfig.CapAdd) ?? [],
    capDrop: wordsOf(hostConfig.CapDrop) ?? [],
    privileged: hostConfig.Privileged ?? false,
    securityOpt: hostConfig.SecurityOpt ?? [],
    domainname: body.Domainname || undefined,
    shmBytes: hostConfig.ShmSize ?? 0,
    sysctls: Object.fromEntries(
      Object.entries(hostConfig.Sysctls ?? {}).map(([name, value]) => [name, value ?? ""]),
    ),
    devices: (hostConfig.Devices ?? []).map((device) => ({
      source: device.PathOnHost ?? "",
      target: device.PathInContainer || (device.PathOnHost ?? ""),
      permissions: device.CgroupPermissions || "rwm",
    })),
  };
}

/** What docker knows, of one namespace or another. */
const VALID = /^(?:host|private|shareable|none|container:.+)$/;

/** Namespaces of others that a container cannot be put in. */
const NAMESPACES = [
  ["PidMode", "PID mode"],
  ["IpcMode", "IPC mode"],
  ["UTSMode", "UTS mode"],
  ["UsernsMode", "User namespace mode"],
  ["CgroupnsMode", "Cgroup namespace mode"],
] as const;

/** The namespaces of other containers, by their ids: those stay when somebody gives the other a new name. */
export function sharedWithIds(
  hostConfig: HostConfigBody,
  store: ContainerStore,
): Pick<HostConfigBody, "PidMode" | "IpcMode"> {
  const byId = (mode: string): string => {
    const [, name] = /^container:(.+)$/s.exec(mode) ?? [];
    if (name === undefined) return mode;
    const other = findContainer({ store }, name);
    // No 404, by which clients would take the image for missing.
    if (other === undefined) throw new ApiError("INVALID", `No such container: ${name}`);
    return `container:${other.record.spec.id}`;
  };
  const { PidMode, IpcMode } = hostConfig;
  return {
    ...(PidMode ? { PidMode: byId(PidMode) } : {}),
    ...(IpcMode ? { IpcMode: byId(IpcMode) } : {}),
  };
}

/**
 * What is needed of other containers for a start: they run, and let others into what they share.
 * @throws {ApiError} `START_IMPOSSIBLE` in docker's words.
 */
export function requireShared({ engine }: ContainerRecord, store: ContainerStore): void {
  const { PidMode, IpcMode } = (engine?.hostConfig ?? {}) as HostConfigBody;
  for (const [mode, what] of [
    [PidMode, "PID"],
    [IpcMode, "IPC"],
  ] as const) {
    const [, id] = /^container:(.+)$/s.exec(mode ?? "") ?? [];
    const other = id === undefined ? undefined : store.read(id);
    if (id === undefined) continue;
    const failed = (why: string) =>
      new ApiError("START_IMPOSSIBLE", `failed to join ${what} namespace: ${why}`);
    if (other === undefined) throw failed(`No such container: ${id}`);
    if (other.state.status !== "running") throw failed(`container ${id} is not running`);
    const donor = (other.record.engine?.hostConfig as HostConfigBody | undefined)?.IpcMode;
    if (what === "IPC" && donor !== "shareable" && donor !== "host") {
      const hint = "hint: use IpcMode:shareable for the donor container";
      throw failed(`cannot join IPC of container ${id}: non-shareable IPC (${hint})`);
    }
  }
}

/** GPUs and the like: no driver for them is here, as on a machine with docker alone. */
function refuseDevices(requests: unknown): void {
  if (!Array.isArray(requests) || requests.length === 0) return;
  const { Driver, Capabilities } = (requests[0] ?? {}) as {
    readonly Driver?: unknown;
    readonly Capabilities?: unknown;
  };
  const sets = Array.isArray(Capabilities) ? Capabilities : [];
  const shown = sets.map((each) => `[${Array.isArray(each) ? each.map(String).join(" ") : ""}]`);
  throw new ApiError(
    "START_IMPOSSIBLE",
    `could not select device driver ${JSON.stringify(String(Driver ?? ""))} with capabilities: [${shown.join(" ")}]`,
  );
}
