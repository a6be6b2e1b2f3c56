import type { ByteString } from "../../sentry/abi/bytes.ts";
import { fromText, toText } from "../../sentry/abi/bytes.ts";
import { ENOENT, Errno } from "../../sentry/abi/errno.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../sentry/abi/file.ts";
import {
  closeFd,
  HOST_O,
  openAt,
  openHostPath,
  readDirectory,
  readFully,
  readlinkAt,
  statAt,
} from "../../sentry/host/fs.ts";
import { writeLayer } from "../../sentry/image/layer-writer.ts";
import type { TarEntry, TarEntryType } from "../../sentry/image/tar-reader.ts";
import { type TarMember, writeTar } from "../../sentry/image/tar-writer.ts";
import { isGlob } from "../dockerfile/glob.ts";
import { PathMatcher, readIgnoreFile } from "../dockerfile/ignore.ts";
import { pathNames } from "../dockerfile/path.ts";
import { BuildError } from "../errors.ts";
import { COPY_ENTRIES_MAX, DEPTH_MAX, IGNORE_BYTES_MAX } from "../limits.ts";
import type { FileSource } from "../solve/request.ts";
import { NeededPaths } from "./needed-paths.ts";

const CHUNK_BYTES = 256 * 1024;

/**
 * A directory of the host as a context. It is walked on descriptors and no symlink is followed, so nothing in it can
 * lead out of it.
 */
export class LocalDirectory implements FileSource {
  readonly #path: ByteString;
  readonly #ignore: PathMatcher;

  /**
   * @param path of the host, the operator's choice
   * @param ignore patterns of what is left out
   */
  constructor(path: string, ignore: readonly string[]) {
    this.#path = fromText(path);
    this.#ignore = new PathMatcher(ignore);
  }

  async load(
    directory: string,
    needed: readonly string[] | undefined,
    _report: unknown,
    signal: AbortSignal,
  ): Promise<void> {
    const walk = new Walk(this.#ignore, new NeededPaths(this.#followable(needed)), signal);
    await writeLayer(writeTar(walk.members(this.#path)), directory);
  }

  /** The needed paths; undefined where a symlink, or a wildcard that could be one, may lead anywhere. */
  #followable(needed: readonly string[] | undefined): readonly string[] | undefined {
    if (needed?.some((path) => isGlob(path) || this.#throughLink(path)) !== false) return undefined;
    return needed;
  }

  #throughLink(path: string): boolean {
    const fds: number[] = [];
    try {
      const top = openHostPath(this.#path, HOST_O.PATH | HOST_O.DIRECTORY);
      if (top instanceof Errno) throw unreadable(this.#path, top);
      fds.push(top);
      for (const name of pathNames(path).map(fromText)) {
        const stat = statAt(fds.at(-1) ?? top, name);
        if (stat instanceof Errno || (stat.mode & S_IFMT) === S_IFREG) return false;
        if ((stat.mode & S_IFMT) === S_IFLNK) return true;
        const next = openAt(fds.at(-1) ?? top, name, HOST_O.PATH | HOST_O.DIRECTORY);
        if (next instanceof Errno) return false;
        fds.push(next);
      }
      return false;
    } finally {
      for (const fd of fds) closeFd(fd);
    }
  }
}

/**
 * A small file of a directory of the operator's, such as a Dockerfile; undefined where it is not there.
 * @throws {BuildError} BUILD_INPUT when it cannot be read or is too large
 */
export function readHostFile(path: string, limitBytes: number): Uint8Array | undefined {
  const fd = openHostPath(fromText(path), HOST_O.RDONLY);
  if (fd === ENOENT) return undefined;
  if (fd instanceof Errno) throw unreadable(fromText(path), fd);
  try {
    const bytes = readFully(fd, 0, limitBytes + 1);
    if (bytes instanceof Errno) throw unreadable(fromText(path), bytes);
    if (bytes.length > limitBytes) {
      throw new BuildError("BUILD_INPUT", `${path} has more than ${limitBytes} bytes`);
    }
    return bytes;
  } finally {
    closeFd(fd);
  }
}

/** The patterns for a Dockerfile: of the file beside it, or of the context's own. */
export function ignorePatterns(context: string, dockerfile: string | undefined): readonly string[] {
  const own =
    dockerfile === undefined
      ? undefined
      : readHostFile(`${dockerfile}.dockerignore`, IGNORE_BYTES_MAX);
  const bytes = own ?? readHostFile(`${context}/.dockerignore`, IGNORE_BYTES_MAX);
  return bytes === undefined ? [] : readIgnoreFile(bytes);
}

function unreadable(path: ByteString, error: Errno): BuildError {
  return new BuildError("BUILD_INPUT", `${toText(path)}: ${error.text}`);
}

class Walk {
  readonly #ignore: PathMatcher;
  readonly #needed: NeededPaths;
  readonly #signal: AbortSignal;
  #count = 0;

  constructor(ignore: PathMatcher, needed: NeededPaths, signal: AbortSignal) {
    this.#ignore = ignore;
    this.#needed = needed;
    this.#signal = signal;
  }

  *members(path: ByteString): Generator<TarMember> {
    const fd = openHostPath(path, HOST_O.RDONLY | HOST_O.DIRECTORY);
    if (fd instanceof Errno) throw unreadable(path, fd);
    yield* this.#directory(fd, "", 0);
  }

  /** @param fd owned */
  *#directory(fd: number, path: ByteString, depth: number): Generator<TarMember> {
    try {
      if (depth > DEPTH_MAX) throw new BuildError("BUILD_INPUT", "the context is nested too deep");
      const names = [...readDirectory(fd)].map(({ name }) => name).sort();
      for (const name of names)
        yield* this.#entry(fd, name, path === "" ? name : `${path}/${name}`, depth);
    } finally {
      closeFd(fd);
    }
  }

  *#entry(dirfd: number, name: ByteString, path: ByteString, depth: number): Generator<TarMember> {
    if (this.#signal.aborted) throw new BuildError("BUILD_CANCELED", "context canceled");
    if (!this.#needed.includes(path)) return;
    const excluded = this.#ignore.excludes(path);
    const stat = statAt(dirfd, name);
    if (stat === ENOENT) return;
    if (stat instanceof Errno) throw unreadable(path, stat);
    const type = stat.mode & S_IFMT;
    if (excluded && (type !== S_IFDIR || this.#ignore.prunes(path))) return;
    if (++this.#count > COPY_ENTRIES_MAX) {
      throw new BuildError("BUILD_INPUT", `the context has more than ${COPY_ENTRIES_MAX} files`);
    }
    const common = { path, mode: stat.mode & 0o7777, mtime: stat.mtimeNs };
    if (type === S_IFDIR) {
      if (!excluded) yield { entry: entry("directory", common) };
      const fd = openAt(dirfd, name, HOST_O.RDONLY | HOST_O.DIRECTORY);
      if (fd instanceof Errno) throw unreadable(path, fd);
      yield* this.#directory(fd, path, depth + 1);
    } else if (type === S_IFLNK) {
      const link = readlinkAt(dirfd, name);
      if (link instanceof Errno) throw unreadable(path, link);
      yield { entry: entry("symlink", { ...common, link }) };
    } else if (type === S_IFREG) {
      const fd = openAt(dirfd, name, HOST_O.RDONLY | HOST_O.NONBLOCK);
      if (fd instanceof Errno) throw unreadable(path, fd);
      try {
        yield {
          entry: entry("file", { ...common, size: stat.size }),
          content: content(fd, stat.size),
        };
      } finally {
        closeFd(fd);
      }
    }
    // Sockets, devices and pipes are no part of a context.
  }
}

/** Exactly `size` bytes: what a file loses meanwhile is zeros. */
function* content(fd: number, size: number): Generator<Uint8Array> {
  for (let at = 0; at < size; ) {
    const wanted = Math.min(CHUNK_BYTES, size - at);
    const bytes = readFully(fd, at, wanted);
    if (bytes instanceof Errno) throw new BuildError("BUILD_INPUT", bytes.text);
    yield bytes.length === wanted ? bytes : Buffer.concat([bytes], wanted);
    at += wanted;
  }
}

function entry(
  type: TarEntryType,
  facts: Pick<TarEntry, "path" | "mode" | "mtime"> & Partial<TarEntry>,
): TarEntry {
  return {
    type,
    uid: 0,
    gid: 0,
    size: 0,
    link: "",
    major: 0,
    minor: 0,
    xattrs: new Map(),
    ...facts,
  };
}
