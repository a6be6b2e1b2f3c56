/** A container's view of a file system under test: an actor, and calls as a guest makes them. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { native } from "../../../ring/native.ts";
import { Errno } from "../../../sentry/abi/errno.ts";
import { O_CREAT, O_DIRECTORY, O_RDONLY, O_WRONLY } from "../../../sentry/abi/file.ts";
import { HOST_O, openHostPath } from "../../../sentry/host/fs.ts";
import { type Credentials, ROOT_CREDENTIALS } from "../../../sentry/vfs/credentials.ts";
import { type Actor, FsContext } from "../../../sentry/vfs/fs-context.ts";
import type { FileSystem, Inode, Stat } from "../../../sentry/vfs/inode.ts";
import type { IoBuffer } from "../../../sentry/vfs/io-buffer.ts";
import { inodeAt, MountNamespace } from "../../../sentry/vfs/mount.ts";
import * as namei from "../../../sentry/vfs/namei.ts";
import { openNow } from "../../../sentry/vfs/open.ts";
import type { OpenFile } from "../../../sentry/vfs/open-file.ts";
import { lookup } from "../../../sentry/vfs/resolve.ts";

/** Directories that are still there. */
const scratches = new Set<string>();
process.on("exit", () => {
  for (const path of scratches) rmSync(path, { recursive: true, force: true });
});

/** A directory of the host that lasts until `done`, or the end of this process. */
export function scratch(): { readonly path: string; dirfd(): number; done(): void } {
  const path = mkdtempSync(join(tmpdir(), "dd-fs-"));
  scratches.add(path);
  chmodSync(path, 0o755);
  return {
    path,
    dirfd: () => ok(openHostPath(path, HOST_O.PATH | HOST_O.DIRECTORY)),
    done: () => {
      rmSync(path, { recursive: true, force: true });
      scratches.delete(path);
    },
  };
}

/** The value, which must not be an error. */
export function ok<T>(value: T | Errno): T {
  if (value instanceof Errno) throw new Error(`Unexpected ${value}`);
  return value;
}

/** The bytes as the sentry's handlers get them. */
export function ioBuffer(bytes: Uint8Array): IoBuffer {
  return {
    length: bytes.length,
    address: bytes.length === 0 ? 0 : native.addressOf(bytes),
    take: (count = bytes.length) => bytes.slice(0, count),
    put: (source, offset = 0) => bytes.set(source, offset),
    upTo: (length) => ioBuffer(bytes.subarray(0, length)),
    from: (offset) => ioBuffer(bytes.subarray(offset)),
  };
}

export function user(uid: number, gid = uid): Credentials {
  return {
    ...ROOT_CREDENTIALS,
    ruid: uid,
    euid: uid,
    suid: uid,
    fsuid: uid,
    rgid: gid,
    egid: gid,
    sgid: gid,
    fsgid: gid,
    capabilities: 0n,
  };
}

export class Guest implements Actor {
  readonly fs: FsContext;
  readonly namespace: MountNamespace;
  credentials: Credentials = ROOT_CREDENTIALS;
  readonly tid = 1;
  readonly process = { pid: 1 };

  /** @param root a file system to be seen alone, or a tree that is already put together. */
  constructor(root: FileSystem | MountNamespace) {
    this.namespace = root instanceof MountNamespace ? root : new MountNamespace(root);
    this.fs = new FsContext(this.namespace.root.rootPath);
  }

  path(path: string, noFollow = false) {
    return lookup(this, this.fs.cwd, path, { noFollow });
  }
  inode(path: string, noFollow = false): Inode {
    return inodeAt(ok(this.path(path, noFollow)));
  }
  stat(path: string): Stat {
    return ok(this.inode(path).stat());
  }
  lstat(path: string): Stat {
    return ok(this.inode(path, true).stat());
  }
  mkdir(path: string, mode = 0o755) {
    return namei.mkdir(this, this.fs.cwd, path, mode);
  }
  mknod(path: string, mode: number, rdev = 0) {
    return namei.mknod(this, this.fs.cwd, path, mode, rdev);
  }
  symlink(target: string, path: string) {
    return namei.symlink(this, target, this.fs.cwd, path);
  }
  link(from: string, to: string) {
    const found = this.path(from, true);
    return found instanceof Errno ? found : namei.link(this, found, this.fs.cwd, to);
  }
  unlink(path: string) {
    return namei.unlink(this, this.fs.cwd, path);
  }
  rmdir(path: string) {
    return namei.rmdir(this, this.fs.cwd, path);
  }
  rename(from: string, to: string, flags = 0) {
    return namei.rename(this, this.fs.cwd, from, this.fs.cwd, to, flags);
  }
  open(path: string, flags: number, mode = 0o644): OpenFile | Errno {
    return openNow(this, this.fs.cwd, path, { flags, mode });
  }
  write(path: string, text: string, flags = O_WRONLY | O_CREAT | 0o1000): Errno | undefined {
    const file = this.open(path, flags);
    if (file instanceof Errno) return file;
    const count = file.write(ioBuffer(Buffer.from(text, "latin1")));
    file.close();
    return count instanceof Errno ? count : undefined;
  }
  read(path: string): string | Errno {
    const file = this.open(path, O_RDONLY);
    if (file instanceof Errno) return file;
    const text = readAll(file);
    file.close();
    return text;
  }
  list(path: string): string[] | Errno {
    const file = this.open(path, O_RDONLY | O_DIRECTORY);
    if (file instanceof Errno) return file;
    const names: string[] = [];
    for (;;) {
      const bytes = Buffer.from(ok(file.readdir(4096)));
      if (bytes.length === 0) break;
      for (let at = 0; at < bytes.length; at += bytes.readUInt16LE(at + 16)) {
        const end = bytes.indexOf(0, at + 19);
        names.push(bytes.toString("latin1", at + 19, end));
      }
    }
    file.close();
    return names.filter((name) => name !== "." && name !== "..").sort();
  }
}

export function readAll(file: OpenFile): string | Errno {
  let text = "";
  for (;;) {
    const bytes = Buffer.alloc(4096);
    const count = file.read(ioBuffer(bytes));
    if (count instanceof Errno) return count;
    if (count === 0) return text;
    text += bytes.toString("latin1", 0, count);
  }
}

/** Everything below `path` as lines: type, mode, owner, links, and content or target. */
export function dump(guest: Guest, path = "/", withLinks = true): string[] {
  const lines: string[] = [];
  const visit = (at: string) => {
    const stat = guest.lstat(at);
    const links = withLinks && (stat.mode & 0o170000) !== 0o040000 ? ` ${stat.nlink}` : "";
    const head = `${at} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid}${links}`;
    switch (stat.mode & 0o170000) {
      case 0o040000:
        lines.push(head);
        for (const name of ok(guest.list(at))) visit(at === "/" ? `/${name}` : `${at}/${name}`);
        break;
      case 0o120000:
        lines.push(`${head} -> ${ok(guest.inode(at, true).readlink(guest))}`);
        break;
      case 0o100000:
        lines.push(`${head} ${stat.size} ${JSON.stringify(ok(guest.read(at)))}`);
        break;
      default:
        lines.push(head);
    }
  };
  visit(path);
  return lines;
}

/**
 * Names, types and attributes of everything, without content and link counts: what a journal alone says,
 * and what a call changes at once.
 */
export function shape(guest: Guest): string {
  return dump(guest, "/", false)
    .map((line) => line.replace(/ \d+ ".*$/, ""))
    .join("\n");
}
