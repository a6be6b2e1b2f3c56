import type { ByteString } from "../../sentry/abi/bytes.ts";
import { fromText, toText } from "../../sentry/abi/bytes.ts";
import { EEXIST, Errno } from "../../sentry/abi/errno.ts";
import {
  chmodAt,
  closeFd,
  HOST_O,
  linkAt,
  mkdirAt,
  openAt,
  openDirectory,
  setTimesAt,
  symlinkAt,
  unlinkAt,
  writeFully,
} from "../../sentry/host/fs.ts";
import { type TarMember, writeTar } from "../../sentry/image/tar-writer.ts";
import { BuildError } from "../errors.ts";
import { planCopy } from "../solve/copy.ts";
import type { Solved } from "../solve/solver.ts";

/** Everything that was built, as the members of an archive, directories before what is in them. */
export function builtFiles({ state, trees }: Solved): Iterable<TarMember> {
  const root = trees.root(trees.directories(state.layers));
  if (root === undefined) return [];
  return planCopy({
    sources: [{ kind: "tree", root }],
    destination: "/",
    isDirectory: true,
    below: undefined,
    owner: undefined,
    mode: undefined,
    exclude: undefined,
    parents: false,
    now: 0n,
    missing: (pattern) => new BuildError("BUILD_NOT_FOUND", toText(pattern)),
  }).members();
}

/** The tar archive of everything that was built. */
export function builtArchive(solved: Solved): AsyncGenerator<Uint8Array, void, void> {
  return writeTar(builtFiles(solved));
}

/**
 * Writes what was built into a directory of the host, made if it is missing. As who runs this; devices are left out.
 * Every name is made in a directory that is held open, and no symlink is followed: nothing can lead out of it.
 */
export async function writeBuiltFiles(solved: Solved, destination: string): Promise<void> {
  const top = openDirectory(fromText(destination), 0o755);
  if (top instanceof Errno) throw failed(fromText(destination), top);
  try {
    for (const member of builtFiles(solved)) await writeMember(top, member);
  } finally {
    closeFd(top);
  }
}

async function writeMember(top: number, { entry, content }: TarMember): Promise<void> {
  const names = entry.path.split("/").filter((name) => name !== "");
  const name = names.pop();
  if (name === undefined) return;
  const directory = descend(top, names);
  try {
    if (entry.type === "directory") {
      const made = mkdirAt(directory, name, 0o700);
      if (made !== undefined && made !== EEXIST) throw failed(entry.path, made);
    } else {
      unlinkAt(directory, name);
      if (entry.type === "symlink") {
        check(entry.path, symlinkAt(entry.link, directory, name));
        return;
      }
      if (entry.type === "hardlink") {
        hardLink(top, entry.link, directory, name);
        return;
      }
      if (entry.type !== "file") return;
      const flags = HOST_O.WRONLY | HOST_O.CREAT | HOST_O.EXCL;
      const fd = openAt(directory, name, flags, 0o600);
      if (fd instanceof Errno) throw failed(entry.path, fd);
      try {
        let at = 0;
        for await (const bytes of content ?? []) {
          check(entry.path, writeFully(fd, bytes, at));
          at += bytes.length;
        }
      } finally {
        closeFd(fd);
      }
      setTimesAt(directory, name, entry.mtime, entry.mtime);
    }
    // Without set-user-ID: the files are the user's now.
    chmodAt(directory, name, entry.mode & 0o1777);
  } finally {
    if (directory !== top) closeFd(directory);
  }
}

/** The directory at `names`; the caller's to close unless it is `top`. */
function descend(top: number, names: readonly ByteString[]): number {
  let at = top;
  for (const name of names) {
    const next = openAt(at, name, HOST_O.RDONLY | HOST_O.DIRECTORY);
    if (at !== top) closeFd(at);
    if (next instanceof Errno) throw failed(names.join("/"), next);
    at = next;
  }
  return at;
}

function hardLink(top: number, link: ByteString, directory: number, name: ByteString): void {
  const names = link.split("/").filter((each) => each !== "");
  const target = names.pop() ?? "";
  const from = descend(top, names);
  try {
    check(link, linkAt(from, target, directory, name));
  } finally {
    if (from !== top) closeFd(from);
  }
}

function check(path: ByteString, error: Errno | undefined): void {
  if (error !== undefined) throw failed(path, error);
}

function failed(path: ByteString, error: Errno): BuildError {
  return new BuildError("BUILD_INPUT", `${toText(path)}: ${error.text}`);
}
