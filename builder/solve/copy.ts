import { createHash } from "node:crypto";
import { read } from "node:fs";
import { promisify } from "node:util";
import type { ByteString } from "../../sentry/abi/bytes.ts";
import { toText } from "../../sentry/abi/bytes.ts";
import { finishDigest } from "../../sentry/image/digest.ts";
import type { TarEntry, TarEntryType } from "../../sentry/image/tar-reader.ts";
import type { TarMember } from "../../sentry/image/tar-writer.ts";
import type { ImageNode } from "../../sentry/image/tree.ts";
import { Glob, isGlob } from "../dockerfile/glob.ts";
import type { PathMatcher } from "../dockerfile/ignore.ts";
import { BuildError } from "../errors.ts";
import { COPY_ENTRIES_MAX, DEPTH_MAX } from "../limits.ts";
import type { ModeChange } from "./mode-change.ts";
import { resolvePath, type TreePlace } from "./tree-path.ts";

const readAt = promisify(read);
const CHUNK_BYTES = 256 * 1024;
const NO_XATTRS: ReadonlyMap<ByteString, Uint8Array> = new Map();

/** Something to copy. */
export type CopySource =
  /** Paths of a tree, perhaps with wildcards. */
  | {
      readonly kind: "path";
      readonly root: ImageNode;
      readonly pattern: ByteString;
      /** It comes from outside, and belongs to root here. */
      readonly asRoot: boolean;
    }
  /** A file of which only the bytes are known. */
  | {
      readonly kind: "bytes";
      readonly name: ByteString;
      readonly bytes: Uint8Array;
      readonly mode: number;
    }
  /** All of a tree: an archive that was unpacked. */
  | { readonly kind: "tree"; readonly root: ImageNode };

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface CopyOptions {
  readonly sources: readonly CopySource[];
  /** Absolute. */
  readonly destination: ByteString;
  /** The destination is a directory whatever is there: it was written with a slash at its end. */
  readonly isDirectory: boolean;
  /** What is below: undefined for a layer that is to fit on anything. */
  readonly below: ImageNode | undefined;
  readonly owner: Owner | undefined;
  readonly mode: ModeChange | undefined;
  readonly exclude: PathMatcher | undefined;
  /** Keep the directories of the sources. */
  readonly parents: boolean;
  /** Nanoseconds since the epoch, for directories made on the way. */
  readonly now: bigint;
  /** How a source that is not there is complained of. */
  readonly missing: (pattern: ByteString) => BuildError;
}

/** A member of the new layer. */
interface PlannedEntry {
  readonly entry: TarEntry;
  readonly content: ImageNode | Uint8Array | undefined;
  /** Made on the way, and so of no interest to a cache. */
  readonly implied: boolean;
}

/** What COPY and ADD put into a layer: decided completely before a byte of it is written. */
export class CopyPlan {
  readonly #entries: readonly PlannedEntry[];

  constructor(entries: readonly PlannedEntry[]) {
    this.#entries = entries;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** A digest of everything about what is copied but its times. */
  async digest(): Promise<string> {
    const hash = createHash("sha256");
    const contents = new Map<ImageNode, string>();
    for (const { entry, content, implied } of this.#entries) {
      if (implied) continue;
      const { path, type, mode, uid, gid, size, link, major, minor, xattrs } = entry;
      const extra = [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString("hex")]);
      hash.update(JSON.stringify([path, type, mode, uid, gid, size, link, major, minor, extra]));
      if (content === undefined || entry.type !== "file") continue;
      if (content instanceof Uint8Array) {
        hash.update(createHash("sha256").update(content).digest("hex"));
        continue;
      }
      const known = contents.get(content) ?? (await contentDigest(content));
      contents.set(content, known);
      hash.update(known);
    }
    return hash.digest("hex");
  }

  /** The members of the layer. */
  *members(): Generator<TarMember> {
    for (const { entry, content } of this.#entries) {
      if (entry.type !== "file" || content === undefined) yield { entry };
      else if (content instanceof Uint8Array) yield { entry, content: [content] };
      else yield { entry, content: contentOf(content) };
    }
  }
}

async function contentDigest(node: ImageNode): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of contentOf(node)) hash.update(bytes);
  return finishDigest(hash);
}

/** The bytes of a file of a tree. */
export async function* contentOf(node: ImageNode): AsyncGenerator<Uint8Array, void, void> {
  const content = node.content();
  if (content === undefined) return;
  const { fd, offset, length } = content;
  for (let at = 0; at < length; ) {
    const wanted = Math.min(CHUNK_BYTES, length - at);
    const { bytesRead, buffer } = await readAt(
      fd,
      Buffer.allocUnsafe(wanted),
      0,
      wanted,
      offset + at,
    );
    if (bytesRead === 0)
      throw new BuildError("BUILD_INPUT", "a layer is shorter than its index says");
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

/**
 * Decides what a COPY or ADD makes.
 * @throws {BuildError} BUILD_NOT_FOUND, BUILD_INVALID, BUILD_INPUT
 */
export function planCopy(options: CopyOptions): CopyPlan {
  return new CopyPlan(new Planner(options).plan());
}

interface Match {
  readonly node: ImageNode;
  /** Its name where it is put: the last of its path, or with `--parents` all of it. */
  readonly names: readonly ByteString[];
  /** The directories above it in the source, for `--parents`. */
  readonly above: readonly ImageNode[];
}

class Planner {
  readonly #options: CopyOptions;
  readonly #entries: PlannedEntry[] = [];
  /** Directories that are in the new layer already. */
  readonly #made = new Set<ByteString>();
  readonly #links = new Map<ImageNode, ByteString>();
  /** Of what is copied now. */
  #owner: Owner | undefined;

  constructor(options: CopyOptions) {
    this.#options = options;
  }

  plan(): readonly PlannedEntry[] {
    const { sources, destination, isDirectory } = this.#options;
    const place = this.#resolve(destination);
    const matches = sources.map((source) => ({ source, found: this.#find(source) }));
    const single = matches.length === 1 && matches[0]?.found.length === 1;
    for (const { source, found } of matches) {
      const isRoots = source.kind === "path" && source.asRoot;
      this.#owner = this.#options.owner ?? (isRoots ? { uid: 0, gid: 0 } : undefined);
      for (const match of found) {
        const into =
          isDirectory || !single || place.node?.type === "directory" || this.#options.parents;
        if (match.node.type === "directory") this.#directoryContents(match, place, source);
        else this.#single(match.node, into ? [...place.path, ...match.names] : place.path, match);
      }
      if (source.kind === "bytes") this.#bytes(source, place, isDirectory || matches.length > 1);
    }
    return this.#entries;
  }

  #resolve(path: ByteString): TreePlace {
    const place = resolvePath(this.#options.below, path, true);
    if (place !== undefined) return place;
    throw new BuildError("BUILD_INVALID", `too many links in ${toText(path)}`);
  }

  /** What a source names. */
  #find(source: CopySource): readonly Match[] {
    if (source.kind === "tree") return [{ node: source.root, names: [], above: [] }];
    if (source.kind === "bytes") return [];
    const { root, pattern } = source;
    if (this.#options.parents) return this.#findWithParents(root, pattern);
    if (!isGlob(pattern)) {
      const place = resolvePath(root, pattern, true);
      if (place?.node === undefined) throw this.#options.missing(pattern);
      // A link is known by its own name, and is what it leads to.
      const name = pattern.split("/").findLast((each) => each !== "" && each !== ".");
      const names = name === undefined || name === ".." ? place.path.slice(-1) : [name];
      return [{ node: place.node, names, above: [] }];
    }
    return expandPattern(root, splitNames(pattern)).flatMap((path) => {
      const node = resolvePath(root, path.join("/"), true)?.node;
      return node === undefined ? [] : [{ node, names: path.slice(-1), above: [] }];
    });
  }

  #findWithParents(root: ImageNode, pattern: ByteString): readonly Match[] {
    // What is before `/./` is not kept.
    const pivot = pattern.indexOf("/./");
    const base = pivot < 0 ? [] : splitNames(pattern.slice(0, pivot));
    const names = splitNames(pivot < 0 ? pattern : pattern.slice(pivot));
    const paths = expandPattern(root, [...base, ...names]);
    if (paths.length === 0 && !isGlob(pattern)) throw this.#options.missing(pattern);
    return paths.flatMap((path) => {
      const node = resolvePath(root, path.join("/"), false)?.node;
      if (node === undefined) return [];
      const kept = path.slice(base.length);
      const above = kept.slice(0, -1).flatMap((_, i) => {
        const at = resolvePath(root, path.slice(0, base.length + i + 1).join("/"), true)?.node;
        return at ?? [];
      });
      return [{ node, names: kept, above }];
    });
  }

  /** What is in a directory goes to the destination; the directory itself only where there is none. */
  #directoryContents(match: Match, place: TreePlace, source: CopySource): void {
    const path = this.#options.parents ? [...place.path, ...match.names] : place.path;
    this.#parentsOf(path, match);
    const existing = this.#existing(path);
    if (existing !== undefined && existing.type !== "directory") {
      throw new BuildError(
        "BUILD_INVALID",
        `cannot copy to non-directory: /${toText(path.join("/"))}`,
      );
    }
    if (existing === undefined) {
      // Only what is in a directory is copied: the place for it is a new one of the usual kind.
      if (this.#options.parents && source.kind !== "tree") this.#put(path, match.node, "directory");
      else this.#implied(path, undefined);
    } else this.#implied(path, existing);
    this.#below(match.node, path, "", 0);
  }

  #below(
    directory: ImageNode,
    path: readonly ByteString[],
    relative: ByteString,
    depth: number,
  ): void {
    if (depth > DEPTH_MAX)
      throw new BuildError("BUILD_INPUT", "the files to copy are nested too deep");
    const { exclude } = this.#options;
    for (const { name } of directory.list()) {
      const node = directory.lookup(name);
      if (node === undefined) continue;
      const inner = relative === "" ? name : `${relative}/${name}`;
      const excluded = exclude?.excludes(inner) === true;
      if (node.type !== "directory") {
        if (!excluded) this.#put([...path, name], node, node.type);
        continue;
      }
      if (excluded && exclude?.prunes(inner) === true) continue;
      const target = [...path, name];
      if (!excluded) {
        const existing = this.#existing(target);
        if (
          existing !== undefined &&
          existing.type !== "directory" &&
          existing.type !== "symlink"
        ) {
          throw new BuildError(
            "BUILD_INVALID",
            `cannot copy to non-directory: /${toText(target.join("/"))}`,
          );
        }
        this.#put(target, node, "directory");
      }
      this.#below(node, target, inner, depth + 1);
    }
  }

  #single(node: ImageNode, path: readonly ByteString[], match: Match): void {
    const { exclude } = this.#options;
    if (exclude?.excludes(match.names.join("/")) === true) return;
    if (path.length === 0) {
      throw new BuildError("BUILD_INVALID", "cannot copy a file over the root directory");
    }
    this.#parentsOf(path, match);
    const existing = this.#existing(path);
    if (existing?.type === "directory") {
      const text = toText(path.join("/"));
      throw new BuildError("BUILD_INVALID", `cannot copy a file over the directory /${text}`);
    }
    this.#put(path, node, node.type);
  }

  #bytes(
    { name, bytes, mode }: CopySource & { kind: "bytes" },
    place: TreePlace,
    into: boolean,
  ): void {
    const path =
      into || place.node?.type === "directory" || place.path.length === 0
        ? [...place.path, name]
        : place.path;
    this.#parentsOf(path, undefined);
    const { owner, mode: change, now } = this.#options;
    const entry: TarEntry = {
      ...blank(path.join("/"), "file", now),
      mode: change?.(mode, false) ?? mode,
      uid: owner?.uid ?? 0,
      gid: owner?.gid ?? 0,
      size: bytes.length,
    };
    this.#entries.push({ entry, content: bytes, implied: false });
  }

  /** Makes sure that the directories above a path are there. */
  #parentsOf(path: readonly ByteString[], match: Match | undefined): void {
    const kept = match?.names.length ?? 0;
    for (let i = 1; i < path.length; i++) {
      const above = path.slice(0, i);
      const existing = this.#existing(above);
      const isLink = existing?.type === "symlink";
      if (existing !== undefined && existing.type !== "directory" && !isLink) {
        throw new BuildError(
          "BUILD_INVALID",
          `cannot copy to non-directory: /${toText(above.join("/"))}`,
        );
      }
      const from = match?.above[i - (path.length - kept) - 1];
      if (existing === undefined && from !== undefined) this.#put(above, from, "directory");
      else this.#implied(above, existing);
    }
  }

  /** What the destination has at a path below the one that was resolved. */
  #existing(path: readonly ByteString[]): ImageNode | undefined {
    let node = this.#options.below;
    for (const name of path) node = node?.lookup(name);
    return node;
  }

  /** A directory on the way: as it is, or a new one of the usual kind. */
  #implied(path: readonly ByteString[], existing: ImageNode | undefined): void {
    const name = path.join("/");
    if (name === "" || this.#made.has(name) || existing?.type === "symlink") return;
    this.#made.add(name);
    const { owner, now } = this.#options;
    const entry: TarEntry =
      existing === undefined
        ? { ...blank(name, "directory", now), mode: 0o755, ...(owner ?? { uid: 0, gid: 0 }) }
        : entryOf(name, existing, "directory");
    this.#entries.push({ entry, content: undefined, implied: true });
  }

  #put(path: readonly ByteString[], node: ImageNode, type: TarEntryType): void {
    const name = path.join("/");
    if (this.#entries.length >= COPY_ENTRIES_MAX) {
      throw new BuildError("BUILD_INPUT", `more than ${COPY_ENTRIES_MAX} files to copy`);
    }
    if (type === "directory") this.#made.add(name);
    const { mode } = this.#options;
    const plain = entryOf(name, node, type);
    const entry: TarEntry = {
      ...plain,
      ...this.#owner,
      mode:
        type === "symlink" ? plain.mode : (mode?.(plain.mode, type === "directory") ?? plain.mode),
    };
    const first = type === "directory" || node.nlink < 2 ? undefined : this.#links.get(node);
    if (first !== undefined) {
      const link: TarEntry = {
        ...entry,
        type: "hardlink",
        link: first,
        size: 0,
        xattrs: NO_XATTRS,
      };
      this.#entries.push({ entry: link, content: undefined, implied: false });
      return;
    }
    if (type !== "directory" && node.nlink > 1) this.#links.set(node, name);
    this.#entries.push({ entry, content: node, implied: false });
  }
}

/** The names of a path, without those that are nothing. */
export function splitNames(path: ByteString): readonly ByteString[] {
  const names: ByteString[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name === "..") names.pop();
    else names.push(name);
  }
  return names;
}

/** The paths of a tree that match a pattern, name by name. */
export function expandPattern(
  root: ImageNode,
  pattern: readonly ByteString[],
): readonly (readonly ByteString[])[] {
  let paths: (readonly ByteString[])[] = [[]];
  for (const name of pattern) {
    const next: (readonly ByteString[])[] = [];
    const glob = isGlob(name) ? new Glob(name) : undefined;
    for (const path of paths) {
      const directory = resolvePath(root, path.join("/"), true)?.node;
      if (glob === undefined) {
        if (directory?.lookup(name) !== undefined) next.push([...path, name]);
        continue;
      }
      for (const entry of directory?.list() ?? []) {
        if (glob.matches(entry.name)) next.push([...path, entry.name]);
        if (next.length > COPY_ENTRIES_MAX) {
          throw new BuildError("BUILD_INPUT", `more than ${COPY_ENTRIES_MAX} files match`);
        }
      }
    }
    paths = next;
  }
  return paths;
}

function blank(path: ByteString, type: TarEntryType, mtime: bigint): TarEntry {
  return {
    path,
    type,
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtime,
    link: "",
    major: 0,
    minor: 0,
    xattrs: NO_XATTRS,
  };
}

function entryOf(path: ByteString, node: ImageNode, type: TarEntryType): TarEntry {
  const device = type === "character" || type === "block";
  return {
    path,
    type,
    mode: node.mode & 0o7777,
    uid: node.uid,
    gid: node.gid,
    size: type === "file" ? node.size : 0,
    mtime: node.mtime,
    link: type === "symlink" ? node.target : "",
    major: device ? (node.rdev >>> 8) & 0xfff : 0,
    minor: device ? (node.rdev & 0xff) | ((node.rdev >>> 12) & ~0xff) : 0,
    xattrs: node.xattrs(),
  };
}
