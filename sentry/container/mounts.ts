import { mkdirSync, realpathSync, statSync } from "node:fs";
import { posix } from "node:path";
import { fromText } from "../abi/bytes.ts";
import type { Mode, MountSpec } from "../spec.ts";
import type { Directories } from "./directories.ts";
import { ContainerError } from "./errors.ts";
import { randomId } from "./names.ts";
import { ANONYMOUS_LABEL, type Volume, VolumeStore, volumeKind } from "./volumes.ts";

/** A mount as the user, or the image, asked for it. Paths are text. */
export type MountRequest =
  | {
      readonly kind: "bind";
      /** Absolute. */
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      /** Make a directory where there is none, as `-v` does and `--mount` does not. */
      readonly create: boolean;
    }
  | {
      readonly kind: "volume";
      /** Undefined: one for this container alone. */
      readonly name: string | undefined;
      readonly target: string;
      readonly readOnly: boolean;
      readonly copyUp: boolean;
      /** A place in the volume instead of all of it. */
      readonly subpath?: string | undefined;
      /** Of a volume that has to be made for it. */
      readonly labels?: Readonly<Record<string, string>>;
      readonly options?: Readonly<Record<string, string>>;
    }
  | {
      /** What an image has, to be read. */
      readonly kind: "image";
      readonly name: string;
      readonly id: string;
      /** Host directories of its layers, bottom to top. */
      readonly layers: readonly string[];
      readonly target: string;
      readonly subpath: string | undefined;
    }
  | {
      readonly kind: "tmpfs";
      readonly target: string;
      readonly readOnly: boolean;
      readonly sizeBytes: number | undefined;
      readonly mode: number | undefined;
      readonly uid?: number | undefined;
      readonly gid?: number | undefined;
      readonly noexec: boolean;
    };

/** Host directories that an untrusted container may not get, with the reason. */
const REFUSED: readonly (readonly [path: string, why: string])[] = [
  ["/proc", "it shows and steers the host's processes"],
  ["/sys", "it shows and steers the host's devices"],
  ["/dev", "it holds the host's devices"],
  ["/run", "it holds the sockets of the host's services"],
  ["/var/run", "it holds the sockets of the host's services"],
  ["/tmp/.X11-unix", "it holds the sockets of the screen"],
];

/**
 * Turns what was asked for into what the sentry mounts: sources checked, volumes made, in mounting order.
 * @param requests of the user; one target may be there once.
 * @param imageVolumes paths that get a volume of their own unless something is mounted there.
 * @returns the mounts, and the names of the volumes made for this container alone.
 * @throws {ContainerError} `INVALID_MOUNT`, `MOUNT_SOURCE_MISSING`, `MOUNT_REFUSED`, `INVALID_NAME`.
 */
export function resolveMounts(
  requests: readonly MountRequest[],
  imageVolumes: readonly string[],
  mode: Mode,
  directories: Directories,
): { readonly mounts: readonly MountSpec[]; readonly anonymousVolumes: readonly string[] } {
  const targets = new Set<string>();
  for (const { target } of requests) {
    if (targets.has(target)) {
      throw new ContainerError("INVALID_MOUNT", `Duplicate mount point: ${target}`);
    }
    targets.add(target);
  }
  const cleaned = imageVolumes.map((path) => posix.normalize(path).replace(/(?<=.)\/$/, ""));
  const implied = [...new Set(cleaned)]
    .filter((target) => target.startsWith("/") && !targets.has(target))
    .map(
      (target) =>
        ({ kind: "volume", name: undefined, target, readOnly: false, copyUp: true }) as const,
    );
  const volumes = new VolumeStore(directories.root);
  const all: readonly MountRequest[] = [...requests, ...implied];
  const mounts = all.map((request): MountSpec => {
    if (request.kind === "bind") return bindSpec(request, checkSource(request, mode, directories));
    if (request.kind === "tmpfs") return tmpfsSpec(request);
    if (request.kind === "image") return imageSpec(request);
    const own = request.name === undefined ? { [ANONYMOUS_LABEL]: "" } : {};
    const labels = { ...own, ...request.labels };
    const volume = volumes.ensure(request.name ?? randomId(), labels, request.options);
    return volumeSpec(request, volume, mode, directories);
  });
  const unnamed = all.map((request) => request.kind === "volume" && request.name === undefined);
  const anonymousVolumes = mounts.flatMap((mount, i) =>
    mount.kind === "volume" && unnamed[i] === true ? [mount.name] : [],
  );
  const depth = ({ target }: MountSpec) => target.split("/").length;
  return { mounts: mounts.sort((a, b) => depth(a) - depth(b)), anonymousVolumes };
}

function bindSpec(request: MountRequest & { kind: "bind" }, source: string): MountSpec {
  const { target, readOnly } = request;
  return { kind: "bind", source: fromText(source), target: fromText(target), readOnly };
}

function volumeSpec(
  request: MountRequest & { kind: "volume" },
  volume: Volume,
  mode: Mode,
  directories: Directories,
): MountSpec {
  const { target, readOnly } = request;
  const subpath = request.subpath ? checkSubpath(request.subpath) : undefined;
  const { copyUp } = request;
  const kind = volumeKind(volume.options);
  if (kind !== "data" && !("bind" in kind)) {
    return { kind: "tmpfs", target: fromText(target), readOnly, noexec: false, ...kind };
  }
  const source =
    kind === "data"
      ? volume.data
      : checkSource(
          { kind: "bind", source: kind.bind, target, readOnly, create: false },
          mode,
          directories,
        );
  return {
    kind: "volume",
    name: volume.name,
    source: fromText(source),
    target: fromText(target),
    readOnly,
    copyUp,
    ...(subpath === undefined ? {} : { subpath: fromText(subpath) }),
  };
}

function checkSubpath(path: string, kind = "volume"): string {
  const normal = posix.normalize(path).replace(/\/$/, "");
  if (!/^(\/|\.\.(\/|$))/.test(normal) && !normal.includes("\0") && normal !== ".") return normal;
  throw new ContainerError(
    "INVALID_MOUNT",
    `invalid mount config for type "${kind}": subpath must be a relative path within the volume`,
  );
}

/** As docker has it, nothing can be changed there. */
function imageSpec(request: MountRequest & { kind: "image" }): MountSpec {
  const { id, name, layers, target, subpath } = request;
  return {
    kind: "tree",
    image: { id, name },
    layers: layers.map(fromText),
    path: fromText(subpath === undefined ? "/" : `/${checkSubpath(subpath, "image")}`),
    target: fromText(target),
    readOnly: true,
  };
}

function tmpfsSpec(request: MountRequest & { kind: "tmpfs" }): MountSpec {
  const { target, readOnly, noexec, sizeBytes, mode, uid, gid } = request;
  return {
    kind: "tmpfs",
    target: fromText(target),
    readOnly,
    noexec,
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(mode === undefined ? {} : { mode }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  };
}

/** @returns the source without symlinks: what was checked is what will be mounted. */
function checkSource(
  request: MountRequest & { kind: "bind" },
  mode: Mode,
  directories: Directories,
): string {
  const { source } = request;
  let real: string;
  try {
    if (request.create) mkdirSync(source, { recursive: true });
    real = realpathSync(source);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A file stands where -v would have made a directory: it is mounted itself.
    if (request.create && code === "EEXIST") real = realpathSync(source);
    else if (code === "ENOENT" || code === "ENOTDIR") {
      throw new ContainerError(
        "MOUNT_SOURCE_MISSING",
        `invalid mount config for type "bind": bind source path does not exist: ${source}`,
        `Make it first: mkdir -p ${source}`,
      );
    } else {
      throw new ContainerError(
        "INVALID_MOUNT",
        `The bind source ${source} cannot be used: ${(error as Error).message}`,
      );
    }
  }
  if (mode === "untrusted") refuseDangerous(source, real, directories);
  return real;
}

function refuseDangerous(source: string, real: string, directories: Directories): void {
  const refuse = (why: string): never => {
    throw new ContainerError(
      "MOUNT_REFUSED",
      `An untrusted container may not have ${source}: ${why}`,
      "Mount a smaller directory, or run trusted code without --untrusted",
    );
  };
  if (statSync(real).isSocket()) refuse("it is a socket, and who listens there is not confined");
  for (const [path, why] of REFUSED) {
    if (contains(path, real)) refuse(why);
  }
  for (const own of [directories.root, directories.run]) {
    const path = resolved(own);
    if (contains(path, real)) refuse("it belongs to dd itself");
    if (contains(real, path)) refuse(`it contains dd's own ${own}`);
  }
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Whether `inner` is `outer` or below it. */
function contains(outer: string, inner: string): boolean {
  return inner === outer || inner.startsWith(outer === "/" ? "/" : `${outer}/`);
}
