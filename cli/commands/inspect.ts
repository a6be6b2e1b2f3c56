import { toText } from "../../sentry/abi/bytes.ts";
import { signalName } from "../../sentry/abi/signal.ts";
import { askOnce } from "../../sentry/container/ask.ts";
import { ContainerError } from "../../sentry/container/errors.ts";
import type { Container, ContainerState } from "../../sentry/container/record.ts";
import { ContainerStore } from "../../sentry/container/store.ts";
import { VolumeStore } from "../../sentry/container/volumes.ts";
import type { ConfinementLayer } from "../../sentry/spec.ts";
import { openDirectories } from "../context.ts";
import { CliError, EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { INSPECT_OPTIONS } from "../options.ts";
import { fillTemplate } from "../output.ts";

export async function main(
  values: Values<typeof INSPECT_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const found: unknown[] = [];
  let exitCode: number = EXIT.ok;
  for (const name of operands) {
    const object = await lookUp(name, values.type);
    if (object !== undefined) {
      found.push(object);
      continue;
    }
    process.stderr.write(`ddcli: No such ${values.type ?? "object"}: ${name}\n`);
    exitCode = EXIT.failed;
  }
  const { format } = values;
  if (format === undefined || format === "table" || format === "json" || values.json) {
    process.stdout.write(`${JSON.stringify(found, undefined, format === "json" ? 0 : 4)}\n`);
  } else {
    for (const object of found) process.stdout.write(`${fillTemplate(format, object)}\n`);
  }
  return exitCode;
}

async function lookUp(name: string, type: string | undefined): Promise<unknown> {
  const directories = openDirectories();
  const attempts: Readonly<Record<string, () => unknown>> = {
    container: async () => {
      const store = new ContainerStore(directories);
      const container = store.find(name);
      return { ...describe(container), Confinement: await confinementOf(store, container) };
    },
    image: () => describeImage(name, directories.root),
    volume: () => {
      const {
        name: Name,
        data: Mountpoint,
        labels: Labels,
        createdAt,
      } = new VolumeStore(directories.root).find(name);
      return {
        Name,
        Mountpoint,
        Labels,
        CreatedAt: time(createdAt),
        Driver: "local",
        Scope: "local",
      };
    },
  };
  for (const [kind, attempt] of Object.entries(attempts)) {
    if (type !== undefined && type !== kind) continue;
    try {
      const object = await attempt();
      if (object !== undefined) return object;
    } catch (error) {
      const missing = error instanceof ContainerError && error.code.startsWith("NO_SUCH_");
      if (!missing && !(error instanceof CliError)) throw error;
    }
  }
  return undefined;
}

async function describeImage(name: string, root: string): Promise<unknown> {
  const { ImageStore } = await import("../../sentry/image/image-store.ts");
  const image = await new ImageStore(root).find(name);
  if (image === undefined) return undefined;
  const { platform, created, author, config, diffIds } = image.config;
  return {
    Id: image.id,
    RepoTags: image.tags,
    RepoDigests: image.digests,
    Created: created ?? "",
    Author: author ?? "",
    Config: config,
    Architecture: platform.architecture,
    Variant: platform.variant ?? "",
    Os: platform.os,
    Size: image.size,
    RootFS: { Type: "layers", Layers: diffIds },
  };
}

/** The layers around a running container; none around one that does not run, or has ended just now. */
async function confinementOf(
  store: ContainerStore,
  container: Container,
): Promise<readonly ConfinementLayer[]> {
  if (container.state.status !== "running") return [];
  try {
    const { layers } = await askOnce(store, container, { op: "confinement" }, "confinement");
    return layers;
  } catch {
    return [];
  }
}

/** A container in docker's words, with what docker has no word for beside it. */
function describe({ record, state }: Container): object {
  const { spec, process } = record;
  const [path = "", ...args] = process.argv.map(toText);
  return {
    Id: spec.id,
    Name: `/${record.name}`,
    Created: time(record.createdAt),
    Path: path,
    Args: args,
    State: describeState(state),
    Image: spec.rootfs.image,
    Mode: spec.mode,
    Platform: `linux/${spec.isa === "arm64" ? "arm64" : "amd64"}`,
    HostConfig: {
      AutoRemove: record.autoRemove,
      NetworkMode: spec.network.mode,
      Egress: spec.network.egress,
      ReadonlyRootfs: spec.rootfs.readOnly,
      Memory: spec.limits.memoryBytes ?? 0,
      PidsLimit: spec.limits.pids ?? 0,
      Ulimits: spec.limits.ulimits.map(({ name, soft, hard }) => ({
        Name: name,
        Soft: soft,
        Hard: hard,
      })),
    },
    Mounts: spec.mounts.map((mount) => ({
      Type: mount.kind,
      ...(mount.kind === "volume" ? { Name: mount.name } : {}),
      Source: "source" in mount ? toText(mount.source) : "",
      Destination: toText(mount.target),
      RW: !mount.readOnly,
    })),
    Config: {
      Hostname: toText(spec.hostname),
      User: process.user,
      Tty: record.tty,
      OpenStdin: record.openStdin,
      Env: process.env.map(toText),
      Image: record.imageName,
      WorkingDir: toText(process.cwd),
      Labels: record.labels,
      StopSignal: signalName(record.stopSignal),
      StopTimeout: record.stopTimeoutSeconds,
    },
  };
}

function describeState(state: ContainerState): unknown {
  const running = state.status === "running";
  const exited = state.status === "exited" ? state : undefined;
  const startedAt = state.status === "created" ? 0 : state.startedAt;
  return {
    Status: state.status,
    Running: running,
    OOMKilled: exited?.oomKilled ?? false,
    Pid: running ? state.pid : 0,
    ExitCode: exited?.exitCode ?? 0,
    Error: exited?.error ?? "",
    StartedAt: time(startedAt),
    FinishedAt: time(exited?.finishedAt ?? 0),
  };
}

/** As docker writes times; its word for never is the year 1. */
function time(ms: number): string {
  return ms === 0 ? "0001-01-01T00:00:00Z" : new Date(ms).toISOString();
}
