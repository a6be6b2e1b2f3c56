import { posix } from "node:path";
import { ApiError } from "../../api/errors.ts";
import type { HostConfigBody, MountBody } from "../../api/routes/container-bodies.ts";
import { toText } from "../../sentry/abi/bytes.ts";
import type { MountRequest } from "../../sentry/container/mounts.ts";
import type { ContainerStore } from "../../sentry/container/store.ts";
import type { ImageStore, StoredImage } from "../../sentry/image/image-store.ts";
import { findContainer } from "../networks/find.ts";
import { imageWithTag, textsOf } from "./words.ts";

const BIND_OPTIONS = new Set(
  `rw z Z cached delegated consistent private rprivate shared rshared slave rslave nocopy`.split(
    " ",
  ),
);

/** The images that are mounted, by the names they are asked for with. */
export type MountedImages = ReadonlyMap<string, StoredImage>;

/** @throws {ApiError} `NO_SUCH_IMAGE`. */
export async function mountedImages(
  { Mounts }: HostConfigBody,
  images: ImageStore,
): Promise<MountedImages> {
  const found = new Map<string, StoredImage>();
  for (const { Type, Source } of Mounts ?? []) {
    if (Type !== "image" || !Source) continue;
    const image = await images.find(Source);
    if (image === undefined) throw new ApiError("NO_SUCH_IMAGE", imageWithTag(Source));
    found.set(Source, image);
  }
  return found;
}

/**
 * What a container mounts: `Binds`, `Mounts`, `Tmpfs` and `VolumesFrom` of its host configuration.
 * @throws {ApiError} in docker's words.
 */
export function mountRequests(
  { Binds, Mounts, Tmpfs, VolumesFrom, VolumeDriver }: HostConfigBody,
  store: ContainerStore,
  images: MountedImages,
): readonly MountRequest[] {
  const own = [
    ...(Binds ?? []).map(ofBind),
    ...(Mounts ?? []).map((mount) => ofMount(mount, images)),
    ...Object.entries(Tmpfs ?? {}).map(([path, options]) => ofTmpfs(path, options ?? "")),
  ];
  refuseDrivers(own, VolumeDriver, Mounts);
  const taken = new Set(own.map(({ target }) => target));
  // Of two containers with a volume at one place the last one counts.
  const inherited = new Map(
    (VolumesFrom ?? [])
      .flatMap((text) => ofContainer(text, store))
      .filter(({ target }) => !taken.has(target))
      .map((request) => [request.target, request] as const),
  );
  return [...own, ...inherited.values()];
}

/** There is no driver of volumes but docker's own. */
function refuseDrivers(
  requests: readonly MountRequest[],
  ofAll: string | null | undefined,
  mounts: HostConfigBody["Mounts"],
): void {
  const volume = requests.find(({ kind }) => kind === "volume");
  const named = (mounts ?? []).map((mount) => ({
    name: mount.Source ?? "",
    driver: mount.VolumeOptions?.DriverConfig?.Name,
  }));
  const first = volume?.kind === "volume" ? [{ name: volume.name ?? "", driver: ofAll }] : [];
  for (const { name, driver } of [...first, ...named]) {
    if (!driver || driver === "local") continue;
    // No 404, by which the docker CLI would take the image for missing.
    throw new ApiError(
      "INVALID",
      `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
    );
  }
}

function ofBind(text: string): MountRequest {
  const parts = text.split(":");
  const [source = "", at, options = ""] = parts;
  if (parts.length > 3 || at === undefined || source === "" || at === "") {
    throw new ApiError("INVALID", `invalid volume specification: '${text}'`);
  }
  let readOnly = false;
  let copyUp = true;
  for (const option of options === "" ? [] : options.split(",")) {
    if (option === "ro") readOnly = true;
    else if (option === "nocopy") copyUp = false;
    else if (!BIND_OPTIONS.has(option)) {
      throw new ApiError("INVALID", `invalid mode: ${options}`);
    }
  }
  const target = targetOf(at, `invalid volume specification: '${text}'`);
  if (source.startsWith("/")) {
    // Nothing is copied into what the host has.
    if (!copyUp) throw new ApiError("INVALID", `invalid mode: ${options}`);
    return { kind: "bind", source: posix.normalize(source), target, readOnly, create: true };
  }
  return { kind: "volume", name: volumeName(source, text), target, readOnly, copyUp };
}

function volumeName(name: string, text: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) return name;
  if (name.includes("/")) {
    throw new ApiError(
      "INVALID",
      `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only ` +
        '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
    );
  }
  throw new ApiError("INVALID", `invalid volume specification: '${text}'`);
}

/** What belongs to each type, of the members that are not everybody's. */
const MEMBERS: Readonly<Record<string, readonly (keyof MountBody)[]>> = {
  bind: ["BindOptions", "Source"],
  volume: ["VolumeOptions", "Source"],
  tmpfs: ["TmpfsOptions"],
  image: ["ImageOptions", "Source"],
};
const NOT_FOR_ALL = ["BindOptions", "VolumeOptions", "ImageOptions", "Source"] as const;

function ofMount(mount: MountBody, images: MountedImages): MountRequest {
  const type = mount.Type ?? "";
  const config = `invalid mount config for type ${JSON.stringify(type)}`;
  const invalid = (why: string) => new ApiError("INVALID", `${config}: ${why}`);
  if (!mount.Target) throw invalid("field Target must not be empty");
  const target = targetOf(mount.Target, config);
  const own = Object.hasOwn(MEMBERS, type) ? MEMBERS[type] : undefined;
  if (own === undefined) throw invalid("mount type unknown");
  const { Source } = mount;
  if ((type === "bind" || type === "image") && !Source) {
    throw invalid("field Source must not be empty");
  }
  for (const name of NOT_FOR_ALL) {
    if (mount[name] && !own.includes(name)) throw invalid(`field ${name} must not be specified`);
  }
  const readOnly = mount.ReadOnly ?? false;
  switch (type) {
    case "bind":
      if (!Source) throw invalid("field Source must not be empty");
      checkPropagation(mount, invalid);
      if (!Source.startsWith("/")) {
        throw invalid(`invalid mount path: '${Source}' mount path must be absolute`);
      }
      return {
        kind: "bind",
        source: posix.normalize(Source),
        target,
        readOnly,
        create: mount.BindOptions?.CreateMountpoint ?? false,
      };
    case "volume":
      if (!Source && mount.VolumeOptions?.Subpath) {
        throw invalid("must not set Subpath when using anonymous volumes");
      }
      if (!Source && readOnly) {
        throw invalid("must not set ReadOnly mode when using anonymous volumes");
      }
      return {
        kind: "volume",
        name: Source ? volumeName(Source, Source) : undefined,
        target,
        readOnly,
        copyUp: !(mount.VolumeOptions?.NoCopy ?? false),
        subpath: mount.VolumeOptions?.Subpath || undefined,
        labels: textsOf(mount.VolumeOptions?.Labels),
        options: textsOf(mount.VolumeOptions?.DriverConfig?.Options),
      };
    case "image": {
      const image = images.get(Source ?? "");
      if (Source == null || image === undefined) throw new Error("The image has been looked for");
      const { id, layerDirectories: layers } = image;
      const subpath = mount.ImageOptions?.Subpath || undefined;
      return { kind: "image", name: Source, id, layers, target, subpath };
    }
    default:
      return {
        kind: "tmpfs",
        target,
        readOnly,
        sizeBytes: mount.TmpfsOptions?.SizeBytes || undefined,
        mode: mount.TmpfsOptions?.Mode || undefined,
        noexec: !tmpfsHas(mount, "exec"),
      };
  }
}

/** Mounts of the host have no meaning inside and the other way round, but a word has to be one of mount(8)'s. */
function checkPropagation({ BindOptions }: MountBody, invalid: (why: string) => ApiError): void {
  const { Propagation } = BindOptions ?? {};
  if (!Propagation || /^r?(?:private|shared|slave)$/.test(Propagation)) return;
  throw invalid(`invalid propagation mode: ${Propagation}`);
}

/** Options of a tmpfs are lists of a name and perhaps a value. */
function tmpfsHas({ TmpfsOptions }: MountBody, name: string): boolean {
  const options = TmpfsOptions?.Options;
  return Array.isArray(options) && options.some((each) => Array.isArray(each) && each[0] === name);
}

const TMPFS_OPTIONS: ReadonlySet<string> = new Set(
  (
    "defaults rw suid nosuid dev nodev sync async dirsync mand nomand atime noatime diratime nodiratime " +
    "relatime norelatime strictatime nostrictatime private rprivate shared rshared slave rslave " +
    "unbindable runbindable size mode uid gid nr_inodes nr_blocks mpol huge"
  ).split(" "),
);

function ofTmpfs(path: string, options: string): MountRequest {
  const target = targetOf(path, "");
  let readOnly = false;
  // As docker: no programs, unless that is asked for.
  let noexec = true;
  let sizeBytes: number | undefined;
  let mode: number | undefined;
  let uid: number | undefined;
  let gid: number | undefined;
  for (const option of options === "" ? [] : options.split(",")) {
    const [key = "", value = ""] = option.split("=", 2);
    if (option === "ro") readOnly = true;
    else if (option === "noexec" || option === "exec") noexec = option === "noexec";
    else if (key === "size") sizeBytes = bytesOf(value);
    else if (key === "mode" && /^[0-7]{1,5}$/.test(value)) mode = Number.parseInt(value, 8);
    else if (key === "uid" && /^[0-9]{1,9}$/.test(value)) uid = Number(value);
    else if (key === "gid" && /^[0-9]{1,9}$/.test(value)) gid = Number(value);
    // The rest describes what cannot be otherwise here (nosuid, nodev) or has no meaning.
    else if (!TMPFS_OPTIONS.has(key)) {
      throw new ApiError("INVALID", `invalid tmpfs option ${JSON.stringify(option.split("=", 2))}`);
    }
  }
  return { kind: "tmpfs", target, readOnly, noexec, sizeBytes, mode, uid, gid };
}

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

function bytesOf(text: string): number | undefined {
  const match = /^(\d{1,15})([kmg]?)$/i.exec(text);
  if (match === null) throw new ApiError("INVALID", `invalid tmpfs option ["size=${text}"]`);
  return Number(match[1]) * (UNITS[(match[2] ?? "").toLowerCase()] ?? 1);
}

/** Everything another container has mounted, with its own or the given mode. */
function ofContainer(text: string, store: ContainerStore): MountRequest[] {
  const [name = "", mode = ""] = text.split(":", 2);
  if (mode !== "" && mode !== "ro" && mode !== "rw") {
    throw new ApiError("INVALID", `invalid mode: ${mode}`);
  }
  const owner = findContainer({ store }, name);
  // No 404, by which clients would take the image for missing.
  if (owner === undefined) throw new ApiError("INVALID", `No such container: ${name}`);
  return owner.record.spec.mounts.flatMap((mount): MountRequest[] => {
    const target = toText(mount.target);
    const readOnly = mode === "ro" || mount.readOnly;
    if (mount.kind === "volume") {
      const subpath = mount.subpath === undefined ? undefined : toText(mount.subpath);
      return [{ kind: "volume", name: mount.name, target, readOnly, copyUp: false, subpath }];
    }
    if (mount.kind !== "bind") return [];
    return [{ kind: "bind", source: toText(mount.source), target, readOnly, create: false }];
  });
}

function targetOf(path: string, prefix: string): string {
  const why = prefix === "" ? "" : `${prefix}: `;
  if (!path.startsWith("/") || path.includes("\0")) {
    throw new ApiError(
      "INVALID",
      `${why}invalid mount path: '${path}' mount path must be absolute`,
    );
  }
  const normal = posix.normalize(path).replace(/(?<=.)\/$/, "");
  if (normal === "/") {
    throw new ApiError("INVALID", `${why}invalid specification: destination can't be '/'`);
  }
  return normal;
}
