import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ContainerError } from "./errors.ts";
import { readJson, writeJson } from "./json-file.ts";
import { checkName } from "./names.ts";
import type { Container } from "./record.ts";

/** A named volume. */
export interface Volume {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly labels: Readonly<Record<string, string>>;
  /** What the local driver was told: `type`, `o`, `device`; see {@link volumeKind}. */
  readonly options: Readonly<Record<string, string>>;
  /** Where its content is on the host. */
  readonly data: string;
}

type VolumeFile = Pick<Volume, "createdAt" | "labels"> & Partial<Pick<Volume, "options">>;

/** Docker's label of volumes that were made for one container alone. */
export const ANONYMOUS_LABEL = "com.docker.volume.anonymous";
/** Directory entries looked at for a volume's size. */
const USAGE_ENTRIES_MAX = 1_000_000;

/** A volume that is a tmpfs of each container that mounts it. */
export interface TmpfsOfVolume {
  readonly sizeBytes?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * What stands behind a volume, by the options of docker's local driver.
 * @throws {ContainerError} `INVALID_VOLUME` for what cannot be mounted here.
 */
export function volumeKind(
  options: Readonly<Record<string, string>>,
): "data" | { readonly bind: string } | TmpfsOfVolume {
  const { type = "", device = "", o = "", ...unknown } = options;
  const invalid = (why: string) => new ContainerError("INVALID_VOLUME", why);
  const [other] = Object.keys(unknown);
  if (other !== undefined) throw invalid(`invalid option: "${other}"`);
  if (type === "" && device === "" && o === "") return "data";
  const words = o.split(",");
  if (type === "tmpfs") {
    const size = /^size=([0-9]+)([kmg]?)$/i.exec(words.find((word) => /^size=/.test(word)) ?? "");
    const mode = /^mode=([0-7]{1,5})$/.exec(words.find((word) => /^mode=/.test(word)) ?? "");
    const id = (name: string) => {
      const [, text] = new RegExp(`(?:^|,)${name}=([0-9]{1,9})(?:,|$)`).exec(o) ?? [];
      return text === undefined ? {} : { [name]: Number(text) };
    };
    const unit = 1024 ** ("kmg".indexOf(size?.[2]?.toLowerCase() || "-") + 1);
    return {
      ...(size === null ? {} : { sizeBytes: Number(size[1]) * unit }),
      ...(mode === null ? {} : { mode: Number.parseInt(mode[1] ?? "", 8) }),
      ...id("uid"),
      ...id("gid"),
    };
  }
  if (type !== "" && type !== "none" && !words.includes("bind") && !words.includes("rbind")) {
    throw invalid(`a volume of type "${type}" cannot be mounted here: only none (bind) and tmpfs`);
  }
  if (!device.startsWith("/")) throw invalid("missing device in volume options");
  return { bind: device };
}

/** Begins names of directories being made or removed; no volume's name can. */
const UNFINISHED = ".unfinished-";

/** The named volumes of a state directory: a directory each, with `volume.json` beside the content. */
export class VolumeStore {
  private readonly root: string;

  /** @param root the state directory, `DD_ROOT`. */
  constructor(root: string) {
    this.root = join(root, "volumes");
    mkdirSync(this.root, { recursive: true, mode: 0o700 });
  }

  /**
   * The volume of that name, made when there is none, like docker.
   * @throws {ContainerError} `INVALID_NAME`, `INVALID_VOLUME`.
   */
  ensure(
    name: string,
    labels: Readonly<Record<string, string>> = {},
    options: Readonly<Record<string, string>> = {},
  ): Volume {
    checkName("volume", name);
    volumeKind(options);
    const found = this.read(name);
    if (found !== undefined) return found;
    const unfinished = join(this.root, `${UNFINISHED}${process.pid}-${name}`);
    mkdirSync(join(unfinished, "data"), { recursive: true, mode: 0o755 });
    writeJson(join(unfinished, "volume.json"), {
      createdAt: Date.now(),
      labels,
      options,
    } satisfies VolumeFile);
    try {
      renameSync(unfinished, join(this.root, name));
    } catch (error) {
      rmSync(unfinished, { recursive: true, force: true });
      // Somebody else was faster: then it is there.
      if (!existsSync(join(this.root, name))) throw error;
    }
    return this.find(name);
  }

  /** @throws {ContainerError} `NO_SUCH_VOLUME`. */
  find(name: string): Volume {
    const volume = this.read(name);
    if (volume !== undefined) return volume;
    throw new ContainerError("NO_SUCH_VOLUME", `No such volume: ${name}`, 'See "ddcli volume ls"');
  }

  list(): readonly Volume[] {
    return readdirSync(this.root)
      .sort()
      .flatMap((name) => this.read(name) ?? []);
  }

  /**
   * Removes a volume with its content.
   * @param containers all there are: one that mounts the volume, running or not, keeps it.
   * @throws {ContainerError} `NO_SUCH_VOLUME`, `VOLUME_IN_USE`.
   */
  remove(name: string, containers: readonly Container[]): void {
    this.find(name);
    const [user] = usersOf(name, containers);
    if (user !== undefined) {
      throw new ContainerError(
        "VOLUME_IN_USE",
        `The volume ${name} is in use by container ${user.record.name}`,
        `Remove the container first: "ddcli rm ${user.record.name}"`,
      );
    }
    const unfinished = join(this.root, `${UNFINISHED}${process.pid}-${name}`);
    renameSync(join(this.root, name), unfinished);
    rmSync(unfinished, { recursive: true, force: true });
  }

  /**
   * Removes the volumes that no container has.
   * @param matches which of them.
   * @returns those that were removed, with the bytes that freed.
   */
  prune(
    containers: readonly Container[],
    matches: (volume: Volume) => boolean,
  ): readonly { readonly name: string; readonly bytes: number }[] {
    return this.list().flatMap((volume) => {
      if (usersOf(volume.name, containers).length > 0 || !matches(volume)) return [];
      const bytes = this.usage(volume);
      try {
        this.remove(volume.name, containers);
      } catch (error) {
        // Somebody else was faster.
        if (error instanceof ContainerError) return [];
        throw error;
      }
      return [{ name: volume.name, bytes }];
    });
  }

  /** Bytes of the files in a volume's own directory; those of a bound directory are not its own. */
  usage(volume: Volume): number {
    return volumeKind(volume.options) === "data" ? bytesBelow(volume.data) : 0;
  }

  private read(name: string): Volume | undefined {
    if (name.startsWith(UNFINISHED) || /[\0/]/.test(name)) return undefined;
    const file = readJson<VolumeFile>(join(this.root, name, "volume.json"));
    if (file === undefined) return undefined;
    const { options = {} } = file;
    const data = join(this.root, name, "data");
    return { name, ...file, options, data };
  }
}

/** The containers that mount a volume, running or not. */
export function usersOf(name: string, containers: readonly Container[]): readonly Container[] {
  return containers.filter(({ record }) =>
    record.spec.mounts.some((mount) => mount.kind === "volume" && mount.name === name),
  );
}

/** The names in it are a guest's: they are read as bytes, and links are not followed. */
function bytesBelow(directory: string): number {
  let bytes = 0;
  let entries = 0;
  const pending = [Buffer.from(directory)];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    let names: Buffer[];
    try {
      names = readdirSync(at, { encoding: "buffer" });
    } catch {
      // It was removed meanwhile, or is not the user's to read.
      continue;
    }
    for (const name of names) {
      entries += 1;
      if (entries > USAGE_ENTRIES_MAX) return bytes;
      const path = Buffer.concat([at, Buffer.from("/"), name]);
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat?.isDirectory() === true) pending.push(path);
      else bytes += stat?.size ?? 0;
    }
  }
  return bytes;
}
