/**
 * A container's changes as a layer of an image; see the OCI image specification, "Image Layer Filesystem
 * Changeset".
 */
import type { ByteString } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import type { TreeFs } from "../fs/tree/tree-fs.ts";
import type { TarEntry } from "../image/tar-reader.ts";
import { encodeHeader } from "../image/tar-writer.ts";
import type { FileChange } from "../spec.ts";
import type { Actor } from "../vfs/fs-context.ts";
import { lookup } from "../vfs/resolve.ts";
import { changesOf } from "./changes.ts";
import { Packer, TAR_END } from "./pack.ts";

const WHITEOUT = ".wh.";

/**
 * The tar of everything the writable layer has changed, straight from its journal's tree.
 * @param actor sees `fs` alone, without what is mounted on it.
 * @param without absolute paths that something was mounted on: what was made for that and is still empty is
 *   left out, with the directories on the way to it.
 * @throws {FilesError} while it is read.
 */
export function* layerOf(
  fs: TreeFs,
  actor: Actor,
  without: ReadonlySet<ByteString> = new Set(),
): Generator<Uint8Array> {
  const packer = new Packer(actor);
  const changes = changesOf(fs);
  const stubs = mountStubs(changes, without);
  for (const { path, kind } of changes) {
    if (stubs.has(path)) continue;
    const name = path.slice(1);
    // Whoever reads the layer would take such a name for a whiteout: no layer can hold it.
    if (path.includes(`/${WHITEOUT}`)) continue;
    if (kind === "deleted") {
      yield encodeHeader(marker(beside(name, WHITEOUT + name.slice(name.lastIndexOf("/") + 1))));
      continue;
    }
    const place = lookup(actor, actor.fs.root, path, { noFollow: true });
    // A running guest may have taken it away since.
    if (place instanceof Errno) continue;
    yield* packer.member(place, name);
  }
  yield TAR_END;
}

/** Of what was added, that in which there is nothing but points to mount on. */
function mountStubs(
  changes: readonly FileChange[],
  targets: ReadonlySet<ByteString>,
): ReadonlySet<ByteString> {
  const onTheWay = new Set<ByteString>();
  for (const target of targets) {
    for (let path = target; path !== ""; path = path.slice(0, path.lastIndexOf("/"))) {
      onTheWay.add(path);
    }
  }
  const stubs = new Set<ByteString>();
  const kept = new Set<ByteString>();
  // From the inside out: a directory comes before what is in it.
  for (const { path, kind } of changes.toReversed()) {
    if (kind === "added" && onTheWay.has(path) && !kept.has(path)) stubs.add(path);
    else kept.add(path.slice(0, path.lastIndexOf("/")));
  }
  return stubs;
}

function beside(path: ByteString, name: ByteString): ByteString {
  return path.slice(0, path.lastIndexOf("/") + 1) + name;
}

function marker(path: ByteString): TarEntry {
  return {
    path,
    type: "file",
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0n,
    link: "",
    major: 0,
    minor: 0,
    xattrs: new Map(),
  };
}
