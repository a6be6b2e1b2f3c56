import { hostname as hostHostname } from "node:os";
import type { CreateChoice } from "../../api/engine/containers.ts";
import { ApiError } from "../../api/errors.ts";
import type { CreateBody, HealthBody, HostConfigBody } from "../../api/routes/container-bodies.ts";
import { toText } from "../../sentry/abi/bytes.ts";
import { SIGTERM } from "../../sentry/abi/signal.ts";
import { hostSpec } from "../../sentry/container/host-options.ts";
import { withInit } from "../../sentry/container/init-program.ts";
import { logMember, logSpec } from "../../sentry/container/log-options.ts";
import { resolveMounts } from "../../sentry/container/mounts.ts";
import { randomId } from "../../sentry/container/names.ts";
import { writeWanted } from "../../sentry/container/network/container-networks.ts";
import { newSpec } from "../../sentry/container/new-spec.ts";
import { processConfig, withDefaults } from "../../sentry/container/process-config.ts";
import type { ContainerRecord, RestartPolicy } from "../../sentry/container/record.ts";
import {
  HOST_IMAGE,
  hostImage,
  type RunImage,
  runImage,
} from "../../sentry/container/run-image.ts";
import { parseSignal } from "../../sentry/container/signal-name.ts";
import { HOST_ISA } from "../../sentry/host/isa.ts";
import type { StoredImage } from "../../sentry/image/image-store.ts";
import { hostPlatform, matches, parsePlatform, platformName } from "../../sentry/image/platform.ts";
import type { DaemonContext } from "../context.ts";
import { networkingOf } from "../networks/spec.ts";
import { healthCheck, imageHealth } from "./health-check.ts";
import { hostOptionsOf, sharedWithIds } from "./host-options.ts";
import { limitsOf } from "./limits.ts";
import { mountedImages, mountRequests } from "./mount-requests.ts";
import { modeOf } from "./runtime.ts";
import { imageWithTag, textsOf, wordsOf } from "./words.ts";

const HOSTNAME_LENGTH_MAX = 64;
const SHORT_ID = 12;
const STOP_TIMEOUT_SECONDS = 10;

/** Makes the container a client asks for. @throws {ApiError} or an error of the stores. */
export async function createContainer(
  context: DaemonContext,
  { name, platform, body }: CreateChoice,
): Promise<{ readonly record: ContainerRecord; readonly warnings: string[] }> {
  const { store, directories } = context;
  const hostConfig: HostConfigBody = body.HostConfig ?? {};
  const mode = modeOf(hostConfig, context.defaultMode);
  const { Isolation } = hostConfig;
  if (Isolation && Isolation.toLowerCase() !== "default") {
    throw new ApiError("INVALID", `invalid isolation '${Isolation}' on linux`);
  }
  const nameless = (body.Env ?? []).find((each) => each === "" || each.startsWith("="));
  if (nameless !== undefined) {
    throw new ApiError("INVALID", `invalid environment variable: ${nameless}`);
  }
  const warnings: string[] = [];
  const imageName = body.Image ?? "";
  const { image, health: imageCheck } = await imageOf(context, imageName, platform, warnings);
  const id = randomId();
  const tty = body.Tty ?? false;
  const exposed = image.config.ExposedPorts;
  const { spec: network, wanted } = networkingOf(context, body, exposed, mode, warnings);
  const hostname = hostnameOf(body.Hostname, network.mode === "host", id);
  const entrypoint = wordsOf(body.Entrypoint);
  const command = processConfig(image.config, {
    args: wordsOf(body.Cmd) ?? [],
    entrypoint,
    env: body.Env ?? [],
    workdir: body.WorkingDir || undefined,
    user: body.User || undefined,
    tty,
    hostname,
  });
  const stopSignal = signalOf(body.StopSignal || image.config.StopSignal);
  const limits = limitsOf(hostConfig, warnings);
  if (!hostConfig.Memory && (hostConfig.MemorySwap ?? 0) > 0) {
    const why = "You should always set the Memory limit when using Memoryswap limit, see usage";
    throw new ApiError("INVALID", why);
  }
  const special = hostSpec(hostOptionsOf(body, warnings), { mode, network }, warnings);
  const groupAdd = hostConfig.GroupAdd ?? [];
  const restart = restartPolicy(hostConfig);
  const { shown, check } = healthCheck(body.Healthcheck, imageCheck, wordsOf(body.Shell));
  const init = hostConfig.Init === true ? withInit(command, image.isa) : undefined;
  const { mounts, anonymousVolumes } = resolveMounts(
    mountRequests(hostConfig, store, await mountedImages(hostConfig, context.images)),
    [...image.config.Volumes, ...Object.keys(body.Volumes ?? {})],
    mode,
    directories,
  );
  const labels = { ...image.config.Labels, ...textsOf(body.Labels) };
  const { Type: logDriver, Config: logOptions } = hostConfig.LogConfig ?? {};
  const logOf = (chosen: string) =>
    logSpec(logDriver || "json-file", textsOf(logOptions), {
      labels,
      env: command.env.map(toText),
      id,
      name: chosen,
      imageName,
    });
  const shared = { ...hostConfig, ...sharedWithIds(hostConfig, store) };
  // Found before anything is made.
  logOf("");
  const held = store.create(id, name, (chosen) => ({
    version: 1,
    name: chosen,
    createdAt: Date.now(),
    imageName,
    spec: newSpec(store, id, image, {
      mode,
      hostname,
      readOnly: hostConfig.ReadonlyRootfs ?? false,
      mounts: init === undefined ? mounts : [...mounts, init.mount],
      network,
      limits,
      ...special,
    }),
    process: { ...(init?.process ?? command), ...(groupAdd.length === 0 ? {} : { groupAdd }) },
    tty,
    openStdin: body.OpenStdin ?? false,
    stdinOnce: body.StdinOnce ?? false,
    autoRemove: hostConfig.AutoRemove ?? false,
    labels,
    ...logMember(logOf(chosen)),
    stopSignal,
    stopTimeoutSeconds: body.StopTimeout ?? STOP_TIMEOUT_SECONDS,
    anonymousVolumes,
    ...(restart === undefined ? {} : { restart }),
    ...(check === undefined ? {} : { health: check }),
    engine: engineRecord(
      { ...body, ...(shown === undefined ? {} : { Healthcheck: shown }), HostConfig: shared },
      image,
      entrypoint,
    ),
  }));
  writeWanted(held.directory, wanted);
  held.release();
  return { record: held.record, warnings };
}

/** What inspect shows as it was asked for, on top of the image's own. */
function engineRecord(
  body: CreateBody,
  image: RunImage,
  entrypoint: readonly string[] | undefined,
): ContainerRecord["engine"] & object {
  const { HostConfig, NetworkingConfig, ...config } = body;
  const { config: defaults } = image;
  const own = wordsOf(config.Cmd) ?? [];
  const cmd = own.length > 0 || (entrypoint?.length ?? 0) > 0 ? own : (defaults.Cmd ?? []);
  const ports = [...defaults.ExposedPorts, ...Object.keys(config.ExposedPorts ?? {})];
  const volumes = [...defaults.Volumes, ...Object.keys(config.Volumes ?? {})];
  const set = (names: readonly string[]) =>
    names.length === 0 ? undefined : Object.fromEntries(names.map((name) => [name, {}]));
  return {
    config: {
      ...config,
      // What was asked for, a name alone included, and the image's other variables.
      Env: withDefaults(config.Env ?? [], defaults.Env),
      Cmd: cmd.length === 0 ? null : cmd,
      Entrypoint:
        entrypoint?.filter((word, i) => i > 0 || word !== "") ?? defaults.Entrypoint ?? null,
      ExposedPorts: set(ports),
      Volumes: set(volumes) ?? null,
    },
    hostConfig: HostConfig ?? {},
    networking: NetworkingConfig ?? {},
  };
}

async function imageOf(
  { images }: DaemonContext,
  name: string,
  platformText: string | undefined,
  warnings: string[],
): Promise<{ readonly image: RunImage; readonly health: HealthBody | undefined }> {
  // As docker: where there is no image there is no command of it.
  if (name === "") throw new ApiError("NO_COMMAND");
  if (name === HOST_IMAGE) return { image: hostImage(platformText), health: undefined };
  const image = await images.find(name);
  if (image === undefined) throw new ApiError("NO_SUCH_IMAGE", imageWithTag(name));
  if (platformText !== undefined && !isFor(image, platformText)) {
    throw new ApiError(
      "NOT_FOUND",
      `image with reference ${name} was found but does not provide the specified platform (${platformText})`,
    );
  }
  const run = runImage(name, image);
  if (platformText === undefined && run.isa !== HOST_ISA) {
    const [own, host] = [image.config.platform, hostPlatform()].map(platformName);
    warnings.push(
      `The requested image's platform (${own}) does not match the detected host platform (${host}) ` +
        "and no specific platform was requested",
    );
  }
  return { image: run, health: imageHealth(image.configBytes) };
}

/** Whether an image is for a platform; for one of which nothing is known here, none is. */
function isFor({ config }: StoredImage, platformText: string): boolean {
  try {
    return matches(parsePlatform(platformText), config.platform);
  } catch (error) {
    if (platformText.includes("/")) return false;
    throw error;
  }
}

function hostnameOf(wanted: string | null | undefined, ofHost: boolean, id: string): string {
  if (!wanted) return ofHost ? hostHostname() : id.slice(0, SHORT_ID);
  if (wanted.length > HOSTNAME_LENGTH_MAX || /[\0\n/]/.test(wanted)) {
    throw new ApiError("INVALID", `invalid hostname: ${wanted}`);
  }
  return wanted;
}

export function signalOf(text: string | null | undefined): number {
  if (!text) return SIGTERM;
  const signo = parseSignal(text);
  if (signo === undefined) throw new ApiError("INVALID", `invalid signal: ${text}`);
  return signo;
}

/** @throws {ApiError} in docker's words. */
export function restartPolicy({
  RestartPolicy: policy,
  AutoRemove,
}: Pick<HostConfigBody, "RestartPolicy" | "AutoRemove">): RestartPolicy | undefined {
  const name = policy?.Name ?? "";
  const maximumRetryCount = policy?.MaximumRetryCount ?? 0;
  switch (name) {
    case "":
    case "no":
      if (maximumRetryCount > 0) {
        throw new ApiError(
          "INVALID",
          `invalid restart policy: maximum retry count can only be used with 'on-failure'`,
        );
      }
      return undefined;
    case "always":
    case "unless-stopped":
    case "on-failure":
      break;
    default:
      throw new ApiError(
        "INVALID",
        `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', ` +
          "'on-failure', or 'unless-stopped'",
      );
  }
  if (name !== "on-failure" && maximumRetryCount > 0) {
    throw new ApiError(
      "INVALID",
      "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    );
  }
  if (maximumRetryCount < 0) {
    throw new ApiError("INVALID", "invalid restart policy: maximum retry count cannot be negative");
  }
  if (AutoRemove === true) {
    throw new ApiError("INVALID", "can't create 'AutoRemove' container with restart policy");
  }
  return { name, maximumRetryCount };
}
