import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
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
  /** Where its content is on the host. */
  readonly data: string;
}

type VolumeFile = Pick<Volume, "createdAt" | "labels">;

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
   * @throws {ContainerError} `INVALID_NAME`.
   */
  ensure(name: string, labels: Readonly<Record<string, string>> = {}): Volume {
    checkName("volume", name);
    const found = this.read(name);
    if (found !== undefined) return found;
    const unfinished = join(this.root, `${UNFINISHED}${process.pid}-${name}`);
    mkdirSync(join(unfinished, "data"), { recursive: true, mode: 0o755 });
    writeJson(join(unfinished, "volume.json"), {
      createdAt: Date.now(),
      labels,
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
    const user = containers.find(({ record }) =>
      record.spec.mounts.some((mount) => mount.kind === "volume" && mount.name === name),
    );
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

  private read(name: string): Volume | undefined {
    if (name.startsWith(UNFINISHED) || name.includes("/")) return undefined;
    const file = readJson<VolumeFile>(join(this.root, name, "volume.json"));
    return file && { name, ...file, data: join(this.root, name, "data") };
  }
}
