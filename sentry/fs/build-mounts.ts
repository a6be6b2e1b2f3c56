/** The file tree of a container, put together from what its spec names. */
import type { ByteString } from "../abi/bytes.ts";
import { toText } from "../abi/bytes.ts";
import { EEXIST, ELOOP, ENODEV, ENOENT, Errno, EXDEV } from "../abi/errno.ts";
import {
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  O_CREAT,
  O_TRUNC,
  O_WRONLY,
  RESOLVE_BENEATH,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
} from "../abi/file.ts";
import {
  closeFd,
  HOST_O,
  mkdirAt,
  openAt,
  openDirectory,
  openHostPath,
  writeFully,
} from "../host/fs.ts";
import type { Reactor } from "../host/reactor.ts";
import type { DeviceSpec, MountSpec, TreeMountSpec } from "../spec.ts";
import { CAP_LAST, ROOT_CREDENTIALS } from "../vfs/credentials.ts";
import { type Actor, FsContext } from "../vfs/fs-context.ts";
import type { FileSystem, Inode } from "../vfs/inode.ts";
import {
  inodeAt,
  type Mount,
  MountNamespace,
  type MountOptions,
  type Path,
  pathName,
} from "../vfs/mount.ts";
import * as namei from "../vfs/namei.ts";
import { openNow } from "../vfs/open.ts";
import { lookup, SYMLINK_MAX } from "../vfs/resolve.ts";
import { copyAttributes, copyTree } from "./copy-tree.ts";
import { populateDev, registerHostDevice, registerMemoryDevices } from "./dev.ts";
import { HostFs } from "./host.ts";
import { overlay } from "./overlay.ts";
import { Fifo } from "./pipe.ts";
import type { SystemInfo } from "./proc/info.ts";
import { ProcFs } from "./proc/proc-fs.ts";
import { SysFs } from "./sysfs.ts";
import { type TmpfsOptions, tmpfs } from "./tmpfs.ts";
import type { Lower } from "./tree/lower.ts";
import type { TreeFs } from "./tree/tree-fs.ts";
import { treeMount } from "./tree-mount.ts";

/** What a container's tree consists of. */
export interface TreeSpec {
  /** The image: `imageLower(tree)` or `hostImage()`; owned. */
  readonly lower: Lower;
  /** Host directory of the writable layer; made if it is missing. */
  readonly upper: ByteString;
  /** The root itself cannot be changed; mounts on it keep their own mode. */
  readonly readOnly: boolean;
  readonly mounts: readonly MountSpec[];
  /** A private host directory for the bytes of tmpfs files; made if missing, emptied at the end. */
  readonly scratch: ByteString;
  /** What docker mounts over files in `/etc`, by name: `hostname`, `hosts`, `resolv.conf`. */
  readonly etc: ReadonlyMap<ByteString, ByteString>;
  /**
   * What `/proc` shows. Without it nothing runs in the container: there is only what it keeps, its root file
   * system, bind mounts and volumes.
   */
  readonly system?: SystemInfo;
  readonly reactor: Reactor;
  /** The terminals' file system, for `/dev/pts`. */
  readonly devpts?: FileSystem;
  /** Devices of the host; only of a container that runs. */
  readonly devices?: readonly DeviceSpec[];
  /** `/dev/shm`'s size in bytes (`--shm-size`); default docker's 64 MiB. */
  readonly shmBytes?: number;
}

/** A mount cannot be made as the spec says. */
export class MountError extends Error {
  readonly code = "MOUNT";
}

/** A container's file tree. */
export interface ContainerTree {
  readonly namespace: MountNamespace;
  /** The root file system by itself. */
  readonly overlay: TreeFs;
  /** Where a process starts that nobody forked: at the root, with docker's umask. */
  context(): FsContext;
  /**
   * Makes a directory, and those above it, unless it is there.
   * @throws MountError
   */
  makeDirectory(path: ByteString): void;
  /**
   * Says who the container's user is: as his, files of the sentry's own user appear on bind mounts and
   * volumes. Before that as root's.
   */
  ownBinds(uid: number, gid: number): void;
  /** Writes the upper layer's snapshot and gives everything back to the host. */
  release(): void;
}

const DEFAULT_SHM_BYTES = 64 << 20;
/** What docker gives `/dev` itself. */
const DEV_BYTES = 64 << 20;
const NOSUID_NODEV = MS_NOSUID | MS_NODEV;
const HARMLESS = NOSUID_NODEV | MS_NOEXEC;

/**
 * Mounts everything.
 * @throws MountError naming the mount and the host's error; UpperLayerError. Nothing then stays open.
 */
export function buildMounts(spec: TreeSpec): ContainerTree {
  const upper = openDirectory(spec.upper);
  if (upper instanceof Errno) {
    spec.lower.close();
    throw failure("/", spec.upper, upper);
  }
  const root = overlay({ lower: spec.lower, dirfd: upper });
  const builder = new Builder(spec, root);
  const { system } = spec;
  try {
    if (system !== undefined) builder.mountSystem(system);
    for (const mount of spec.mounts) {
      if (system !== undefined || mount.kind !== "tmpfs") builder.mount(mount);
    }
    builder.mountEtc();
    for (const device of spec.devices ?? []) builder.makeDevice(device);
    if (spec.readOnly) builder.namespace.root.flags |= MS_RDONLY;
  } catch (error) {
    builder.release();
    throw error;
  }
  const { namespace } = builder;
  return {
    namespace,
    overlay: root,
    context: () => new FsContext(namespace.root.rootPath),
    makeDirectory: (path) => builder.makeDirectory(path),
    ownBinds: (uid, gid) => builder.ownBinds(uid, gid),
    release: () => builder.release(),
  };
}

function failure(target: ByteString, source: ByteString, error: Errno): MountError {
  return new MountError(`Mounting ${toText(source)} at ${toText(target)} failed: ${error}`);
}

/** Docker's words for a part of a volume or an image that cannot be mounted. */
function inaccessible(path: ByteString, { text }: Errno): MountError {
  const why = text.replace(/^./, (letter) => letter.toLowerCase());
  return new MountError(`cannot access path ${toText(path)}: ${why}`);
}

class Builder {
  readonly namespace: MountNamespace;
  readonly #spec: TreeSpec;
  /** The sentry itself: may do everything. */
  readonly #actor: Actor;
  readonly #scratch: number;
  readonly #closeDevices: () => void;
  readonly #systems: FileSystem[] = [];
  readonly #binds: HostFs[] = [];
  #tmpfsCount = 0;

  constructor(spec: TreeSpec, root: FileSystem) {
    this.#spec = spec;
    this.namespace = new MountNamespace(root, { source: "overlay" });
    this.#systems.push(root);
    this.#actor = {
      fs: new FsContext(this.namespace.root.rootPath, this.namespace.root.rootPath, 0),
      credentials: { ...ROOT_CREDENTIALS, capabilities: (1n << BigInt(CAP_LAST + 1)) - 1n },
      tid: 0,
      process: { pid: 0 },
    };
    const scratch = openDirectory(spec.scratch);
    if (scratch instanceof Errno) {
      root.release();
      throw failure("/dev", spec.scratch, scratch);
    }
    this.#scratch = scratch;
    this.#closeDevices = registerMemoryDevices(this.namespace.special);
    this.namespace.makeFileSystem = (type, data) => this.#makeFileSystem(type, data);
    const fifos = new WeakMap<Inode, Fifo>();
    this.namespace.special.openFifo = (inode, flags, path) => {
      const fifo = fifos.get(inode) ?? new Fifo(spec.reactor);
      fifos.set(inode, fifo);
      const name = pathName(path, this.namespace.root.rootPath);
      return fifo.open(flags, { name, stat: () => inode.stat() });
    };
  }

  /** tmpfs for mount(2), with the options of tmpfs(5) that matter. */
  #makeFileSystem(type: ByteString, data: ByteString): FileSystem | Errno {
    if (type !== "tmpfs") return ENODEV;
    const size = /(?:^|,)size=([0-9]{1,15})([kmg]?)(?:,|$)/i.exec(data);
    const mode = /(?:^|,)mode=([0-7]{1,5})(?:,|$)/.exec(data);
    const unit = 1024 ** ("kmg".indexOf(size?.[2]?.toLowerCase() || "-") + 1);
    const fs = this.#tmpfs({
      size: size === null ? undefined : Number(size[1]) * unit,
      mode: mode === null ? undefined : Number.parseInt(mode[1] ?? "", 8),
    });
    this.#systems.push(fs);
    return fs;
  }

  get #root(): Path {
    return this.namespace.root.rootPath;
  }

  /** `/proc`, `/sys`, `/dev` and what lies below them, as docker sets them up. */
  mountSystem(system: SystemInfo): void {
    const { devpts, shmBytes } = this.#spec;
    this.#attach(new ProcFs(system), "/proc", { flags: HARMLESS });
    this.#attach(new SysFs(system), "/sys", { flags: HARMLESS | MS_RDONLY });
    const dev = this.#tmpfs({ mode: 0o755, size: DEV_BYTES });
    populateDev(dev);
    this.#attach(dev, "/dev", { flags: MS_NOSUID });
    if (devpts !== undefined) {
      this.#attach(devpts, "/dev/pts", { flags: MS_NOSUID | MS_NOEXEC });
    }
    const shm = this.#tmpfs({ size: shmBytes ?? DEFAULT_SHM_BYTES });
    this.#attach(shm, "/dev/shm", { flags: HARMLESS, source: "shm" });
    this.#attach(this.#tmpfs({ size: DEV_BYTES }), "/dev/mqueue", {
      flags: HARMLESS,
      source: "mqueue",
    });
  }

  makeDevice(device: DeviceSpec): void {
    const { target, rdev, mode, block } = device;
    const parent = this.#target(target.slice(0, target.lastIndexOf("/")) || "/", true);
    const name = target.slice(target.lastIndexOf("/") + 1);
    const type = block ? S_IFBLK : S_IFCHR;
    namei.unlink(this.#actor, parent, name);
    const failed = namei.mknod(this.#actor, parent, name, type | mode, rdev);
    if (failed !== undefined) throw failure(target, device.source, failed);
    if (!block) registerHostDevice(this.namespace.special, device);
  }

  /** The generated files of `/etc`, each mounted over what the image has, so that the image stays as it is. */
  mountEtc(): void {
    const { etc } = this.#spec;
    if (etc.size === 0) return;
    const fs = this.#tmpfs({ mode: 0o755 });
    const hidden = new MountNamespace(fs);
    const actor = { ...this.#actor, fs: new FsContext(hidden.root.rootPath) };
    for (const [name, text] of etc) {
      const target = `/etc/${name}`;
      const inode = fs.root.mknod(name, { mode: 0o100644, uid: 0, gid: 0 }, 0);
      if (inode instanceof Errno) throw failure(target, name, inode);
      const source = lookup(actor, hidden.root.rootPath, name);
      if (source instanceof Errno) throw failure(target, name, source);
      const written = writeText(actor, source, name, text);
      if (written !== undefined) throw failure(target, name, written);
      // A mount of the user's own over the same file is what he wants to see; over /etc it is not.
      const at = this.#target(target, false);
      if (at.dentry !== at.mount.rootPath.dentry) this.namespace.attach(source.dentry, at, {});
    }
    this.#systems.push(fs);
  }

  mount(spec: MountSpec): void {
    switch (spec.kind) {
      case "tmpfs": {
        const fs = this.#tmpfs({ ...spec, size: spec.sizeBytes });
        const flags = NOSUID_NODEV | (spec.noexec ? MS_NOEXEC : 0) | readOnlyFlag(spec.readOnly);
        this.#attach(fs, spec.target, { flags });
        return;
      }
      case "tree":
        this.#tree(spec);
        return;
      case "bind":
        this.#bind(spec.source, spec.target, spec.readOnly);
        return;
      case "volume": {
        // What the image has there, as it is before the volume covers it.
        const below = lookup(this.#actor, this.#root, spec.target);
        const { source, target, readOnly, subpath } = spec;
        const mount = this.#bind(source, target, readOnly, subpath);
        if (spec.copyUp && !(below instanceof Errno)) this.#fill(mount, below, spec.target);
        return;
      }
    }
  }

  #tree(spec: TreeMountSpec): void {
    const scratch = () => this.#scratchDirectory(`tree-${this.#tmpfsCount++}`);
    const fs = treeMount(spec, spec.upper === undefined ? scratch() : undefined);
    this.#systems.push(fs);
    const hidden = new MountNamespace(fs);
    const actor = { ...this.#actor, fs: new FsContext(hidden.root.rootPath) };
    const source = lookup(actor, hidden.root.rootPath, spec.path);
    if (source instanceof Errno) throw inaccessible(spec.path, source);
    const at = this.#target(spec.target, inodeAt(source).type === S_IFDIR);
    this.namespace.attach(source.dentry, at, { flags: readOnlyFlag(spec.readOnly) });
  }

  #bind(source: ByteString, target: ByteString, readOnly: boolean, subpath?: ByteString): Mount {
    const dirfd = openHostPath(source, HOST_O.PATH);
    if (dirfd instanceof Errno) throw failure(target, source, dirfd);
    const fs = new HostFs({ dirfd });
    this.#binds.push(fs);
    const options = { flags: readOnlyFlag(readOnly), source };
    if (subpath === undefined) return this.#attach(fs, target, options);
    this.#systems.push(fs);
    const part = this.#within(fs, source, subpath);
    const at = this.#target(target, inodeAt(part).type === S_IFDIR);
    return this.namespace.attach(part.dentry, at, options);
  }

  /** A part of a volume. A guest may have made its content: links in it must not lead out of it. */
  #within(fs: HostFs, source: ByteString, subpath: ByteString): Path {
    const { rootPath } = new MountNamespace(fs).root;
    const actor = { ...this.#actor, fs: new FsContext(rootPath) };
    const part = lookup(actor, rootPath, subpath, { resolve: RESOLVE_BENEATH });
    if (!(part instanceof Errno)) return part;
    if (part !== EXDEV) throw inaccessible(`${source}/${subpath}`, part);
    const [base, inner] = [toText(source), toText(subpath)];
    throw new MountError(
      `path concatenation escapes the base directory, base: ${base}, subpath: ${inner}`,
    );
  }

  #fill(mount: Mount, below: Path, target: ByteString): void {
    const inode = inodeAt(mount.rootPath);
    if (inode.type !== S_IFDIR || inodeAt(below).type !== S_IFDIR) return;
    const entries = inode.entries(this.#actor);
    if (entries instanceof Errno || [...entries].length > 0) return;
    const { flags } = mount;
    mount.flags &= ~MS_RDONLY;
    // Whose the directory is counts as much as what is in it: programs that are not root write into volumes.
    const failed =
      copyTree(this.#actor, below, mount.rootPath) ??
      copyAttributes(this.#actor, below, mount.rootPath);
    mount.flags = flags;
    if (failed !== undefined) throw failure(target, "the image's files", failed);
  }

  #tmpfs({ size, mode, uid, gid }: Omit<TmpfsOptions, "dirfd">): TreeFs {
    const dirfd = this.#scratchDirectory(`tmpfs-${this.#tmpfsCount++}`);
    return tmpfs({ dirfd, size, mode, uid, gid });
  }

  /** A descriptor of an own directory in the scratch directory. */
  #scratchDirectory(name: ByteString): number {
    const made = mkdirAt(this.#scratch, name, 0o700);
    if (made !== undefined && made !== EEXIST) throw failure(name, this.#spec.scratch, made);
    const dirfd = openAt(this.#scratch, name, HOST_O.PATH | HOST_O.DIRECTORY);
    if (dirfd instanceof Errno) throw failure(name, this.#spec.scratch, dirfd);
    return dirfd;
  }

  #attach(fs: FileSystem, target: ByteString, options: MountOptions): Mount {
    this.#systems.push(fs);
    const at = this.#target(target, fs.root.type === S_IFDIR);
    return this.namespace.attach(fs.rootDentry, at, options);
  }

  makeDirectory(path: ByteString): void {
    this.#target(path, true);
  }

  /**
   * The mount point, made with the directories above it when it is missing. Where a symlink leads to what
   * is missing (`/etc/resolv.conf` often does), that is made, inside the container.
   */
  #target(path: ByteString, isDirectory: boolean, links = 0): Path {
    const names = path.split("/").filter((name) => name !== "" && name !== ".");
    let so = "";
    for (const [index, name] of names.entries()) {
      const above = so;
      so += `/${name}`;
      if (lookup(this.#actor, this.#root, so) !== ENOENT) continue;
      const rest = names.slice(index + 1);
      const link = this.#linkText(so);
      if (link !== undefined) {
        if (links >= SYMLINK_MAX) throw failure(path, so, ELOOP);
        const to = link.startsWith("/") ? link : `${above}/${link}`;
        return this.#target([to, ...rest].join("/"), isDirectory, links + 1);
      }
      const failed =
        isDirectory || rest.length > 0
          ? namei.mkdir(this.#actor, this.#root, so, 0o755)
          : namei.mknod(this.#actor, this.#root, so, 0o644, 0);
      if (failed !== undefined) throw failure(path, so, failed);
    }
    const found = lookup(this.#actor, this.#root, path);
    if (found instanceof Errno) throw failure(path, path, found);
    return found;
  }

  /** The text of the symlink at `path`, if there is one. */
  #linkText(path: ByteString): ByteString | undefined {
    const found = lookup(this.#actor, this.#root, path, { noFollow: true });
    if (found instanceof Errno || inodeAt(found).type !== S_IFLNK) return undefined;
    const text = inodeAt(found).readlink(this.#actor);
    return text instanceof Errno ? undefined : text;
  }

  ownBinds(uid: number, gid: number): void {
    for (const bind of this.#binds) bind.showOwnAs(uid, gid);
  }

  release(): void {
    for (const fs of this.#systems.reverse()) fs.release();
    this.#systems.length = 0;
    this.#closeDevices();
    closeFd(this.#scratch);
  }
}

function readOnlyFlag(readOnly: boolean): number {
  return readOnly ? MS_RDONLY : 0;
}

function writeText(actor: Actor, at: Path, name: ByteString, text: ByteString): Errno | undefined {
  const parent = { mount: at.mount, dentry: at.dentry.parent };
  const how = { flags: O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644 };
  const file = openNow(actor, parent, name, how);
  if (file instanceof Errno) return file;
  const backing = file.backing();
  const failed =
    backing instanceof Errno ? backing : writeFully(backing.fd, Buffer.from(text, "latin1"), 0);
  file.close();
  return failed;
}
