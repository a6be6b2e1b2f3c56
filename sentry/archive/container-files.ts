import type { ByteString } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import { O_RDONLY, S_IFDIR, S_IFLNK } from "../abi/file.ts";
import type { ContainerTree } from "../fs/build-mounts.ts";
import type { ContainerFiles, FileChange, PathStat, UnpackOptions } from "../spec.ts";
import { CAP_LAST, ROOT_CREDENTIALS } from "../vfs/credentials.ts";
import { type Actor, FsContext } from "../vfs/fs-context.ts";
import { HostBuffer } from "../vfs/host-buffer.ts";
import { inodeAt, MountNamespace, type Path } from "../vfs/mount.ts";
import { openNow } from "../vfs/open.ts";
import { changesOf } from "./changes.ts";
import { FilesError } from "./errors.ts";
import { layerOf } from "./layer.ts";
import { packTree } from "./pack.ts";
import { absolutePath, baseName, placeAt, statPath } from "./paths.ts";
import { unpack } from "./unpack.ts";

/** Whoever acts from outside may do everything, inside. */
const ALL_CAPABILITIES = (1n << BigInt(CAP_LAST + 1)) - 1n;

/** See {@link ContainerFiles}; of a container that runs or of one that is only opened. */
export class TreeFiles implements ContainerFiles {
  readonly #tree: ContainerTree;

  constructor(tree: ContainerTree) {
    this.#tree = tree;
  }

  read(path: ByteString, limitBytes: number): Uint8Array | Errno {
    const actor = this.#actor();
    const file = openNow(actor, actor.fs.root, path, { flags: O_RDONLY, mode: 0 });
    if (file instanceof Errno) return file;
    const buffer = HostBuffer.allocate(limitBytes);
    let end = 0;
    while (end < limitBytes) {
      const count = file.pread(buffer.from(end), end);
      if (count instanceof Errno || count === 0) break;
      end += count;
    }
    file.close();
    return buffer.take(end);
  }

  stat(path: ByteString): PathStat {
    return statPath(this.#actor(), absolutePath(path));
  }

  pack(path: ByteString): Iterable<Uint8Array> {
    const actor = this.#actor();
    const absolute = absolutePath(path);
    const place = placeAt(actor, absolute, true);
    const isLink = inodeAt(place).type === S_IFLNK;
    return packTree(actor, place, baseName(isLink ? absolute.replace(/\/+$/, "") : absolute));
  }

  async unpack(
    path: ByteString,
    options: UnpackOptions,
    source: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const actor = this.#actor();
    const place = placeAt(actor, absolutePath(path), false);
    if (inodeAt(place).type !== S_IFDIR) {
      throw new FilesError("PATH_INVALID", "extraction point is not a directory");
    }
    this.#mayWrite(place);
    await unpack(actor, place, options, source);
  }

  changes(): Iterable<FileChange> {
    return changesOf(this.#tree.overlay);
  }

  export(): Iterable<Uint8Array> {
    const actor = this.#alone();
    return packTree(actor, actor.fs.root, "");
  }

  layer(without?: ReadonlySet<ByteString>): Iterable<Uint8Array> {
    return layerOf(this.#tree.overlay, this.#alone(), without);
  }

  #mayWrite({ mount }: Path): void {
    if (!mount.readOnly) return;
    throw mount === this.#tree.namespace.root
      ? new FilesError("ROOT_READ_ONLY", "container rootfs is marked read-only")
      : new FilesError("VOLUME_READ_ONLY", "mounted volume is marked read-only");
  }

  /** Sees the container's tree as its processes do. */
  #actor(): Actor {
    return actorAt(this.#tree.context().root);
  }

  /** Sees the root file system without what is mounted on it. */
  #alone(): Actor {
    return actorAt(new MountNamespace(this.#tree.overlay).root.rootPath);
  }
}

function actorAt(root: Path): Actor {
  return {
    fs: new FsContext(root, root, 0),
    credentials: { ...ROOT_CREDENTIALS, capabilities: ALL_CAPABILITIES },
    tid: 0,
    process: { pid: 0 },
  };
}
