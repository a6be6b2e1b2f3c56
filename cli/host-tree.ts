/** This machine's own files as a tree that archives are packed from and unpacked into. */
import { resolve } from "node:path";
import { type ByteString, fromText } from "../sentry/abi/bytes.ts";
import { Errno } from "../sentry/abi/errno.ts";
import { packTree } from "../sentry/archive/pack.ts";
import { absolutePath, baseName, placeAt, statPath } from "../sentry/archive/paths.ts";
import { type UnpackHow, unpack } from "../sentry/archive/unpack.ts";
import { HostFs } from "../sentry/fs/host.ts";
import { HOST_O, openHostPath } from "../sentry/host/fs.ts";
import type { PathStat } from "../sentry/spec.ts";
import { ROOT_CREDENTIALS } from "../sentry/vfs/credentials.ts";
import { type Actor, FsContext } from "../sentry/vfs/fs-context.ts";
import { MountNamespace } from "../sentry/vfs/mount.ts";
import { CliError } from "./errors.ts";

const GO_DIRECTORY = 2 ** 31;

/** Whether a stat's mode is a directory's. */
export function isDirectory({ mode }: PathStat): boolean {
  return mode >= GO_DIRECTORY;
}

/** The host's file system, reached as a container's bind mounts are: an archive's names lead nowhere else. */
export class HostTree {
  readonly #actor: Actor;

  constructor() {
    const dirfd = openHostPath("/", HOST_O.PATH | HOST_O.DIRECTORY);
    if (dirfd instanceof Errno) throw new CliError("HOST_FILES", `/: ${dirfd.text}`);
    const fs = new HostFs({ dirfd });
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    fs.showOwnAs(uid, gid);
    const root = new MountNamespace(fs).root.rootPath;
    this.#actor = {
      fs: new FsContext(root, root, process.umask()),
      // What we may not, the host refuses.
      credentials: { ...ROOT_CREDENTIALS, capabilities: -1n & ((1n << 41n) - 1n) },
      tid: 0,
      process: { pid: 0 },
    };
  }

  /** The absolute path of what a user typed; a slash or dot at its end stays. */
  static path(typed: string): ByteString {
    const end = /(\/\.?)$/.exec(typed)?.[1] ?? (typed === "." ? "/." : "");
    const whole = resolve(typed);
    return absolutePath(fromText(whole === "/" ? whole : whole + end));
  }

  /** What is at an absolute path; undefined when there is nothing. @param follow a symlink at its end. */
  stat(path: ByteString, follow: boolean): PathStat | undefined {
    try {
      if (follow) placeAt(this.#actor, path, false);
      const stat = statPath(this.#actor, path);
      return follow && stat.linkTarget !== "" ? statPath(this.#actor, stat.linkTarget) : stat;
    } catch (error) {
      if ((error as { code?: unknown }).code === "PATH_NOT_FOUND") return undefined;
      throw error;
    }
  }

  /** A tar of what is at `path` under another name. */
  pack(path: ByteString, follow: boolean, name: ByteString = baseName(path)): Iterable<Uint8Array> {
    return packTree(this.#actor, placeAt(this.#actor, path, !follow), name);
  }

  async unpack(path: ByteString, how: UnpackHow, source: AsyncIterable<Uint8Array>): Promise<void> {
    await unpack(this.#actor, placeAt(this.#actor, path, false), how, source);
  }
}
