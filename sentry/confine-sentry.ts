/** The sentry's own confinement in untrusted mode: a second line, for the day a guest finds a bug in it. */
import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { profileRuleset } from "../profiles/linux/confinement.ts";
import { landlockRights } from "../profiles/linux/landlock.ts";
import { ConfinementRefused } from "../profiles/linux/report.ts";
import { grantedPaths, type PathValues } from "../profiles/paths.ts";
import { sentryProfile } from "../profiles/profiles.ts";
import { type ByteString, fromText } from "./abi/bytes.ts";
import { Errno } from "./abi/errno.ts";
import { S_IFDIR, S_IFMT } from "./abi/file.ts";
import { statAt } from "./host/fs.ts";
import { restrictSelf } from "./host/landlock.ts";
import { LAUNCHER } from "./machine/launcher.ts";
import type { ContainerSpec } from "./spec.ts";

const AT_FDCWD = -100;
/** World-readable files that name resolution, certificates and clocks need. */
const SYSTEM = ["/etc", "/usr/share/zoneinfo", "/dev/urandom"];

/**
 * Confines this process to what the container needs of the host's files.
 * @throws ConfinementRefused when the host cannot; then nothing may be started.
 */
export function confineSentry(spec: ContainerSpec): void {
  const { handledFilesystem, handledNetwork, scoped } = profileRuleset(sentryProfile);
  const grants = grantedPaths(sentryProfile, pathValues(spec)).flatMap(({ path, access }) => {
    const stat = statAt(AT_FDCWD, path);
    if (stat instanceof Errno) return [];
    const object = (stat.mode & S_IFMT) === S_IFDIR ? "directory" : "file";
    return [{ path, rights: BigInt(landlockRights(access, object)) }];
  });
  const failed = restrictSelf(
    {
      filesystem: BigInt(handledFilesystem),
      network: BigInt(handledNetwork),
      scoped: BigInt(scoped),
    },
    grants,
  );
  if (failed !== undefined) throw new ConfinementRefused("landlock", failed.errno);
}

function pathValues(spec: ContainerSpec): PathValues {
  const binds = spec.mounts.filter((mount) => mount.kind !== "tmpfs");
  const sources = (readOnly: boolean) =>
    binds.filter((mount) => mount.readOnly === readOnly).map(({ source }) => source);
  const host = spec.rootfs.image === "host" ? HOST_DIRECTORIES : [];
  return {
    install: existing([new URL("../..", import.meta.url).pathname.replace(/\/$/, "")]),
    program: existing([LAUNCHER, process.execPath]),
    store: existing([spec.rootfs.store, spec.rootfs.upper]),
    // Its parent: a directory is removed by right of the one above.
    run: existing([dirname(spec.runDirectory)]),
    "read-only": existing([...sources(true), ...host]),
    "read-write": existing(sources(false)),
    system: existing(SYSTEM),
    "kernel-state": existing(["/proc"]),
    terminals: existing(["/dev/pts", "/dev/ptmx", "/dev/tty", "/dev/null"]),
    cgroup: existing(["/sys/fs/cgroup"]),
  };
}

/** What the host image shows; see fs/host-image.ts. */
const HOST_DIRECTORIES = [
  "/usr",
  "/bin",
  "/sbin",
  "/lib",
  "/lib32",
  "/lib64",
  "/libx32",
  "/opt",
  "/etc",
];

/** The canonical names of those paths that exist: Landlock compares what the kernel resolved. */
function existing(paths: readonly ByteString[]): ByteString[] {
  return paths.flatMap((path) => {
    try {
      return [fromText(realpathSync(Buffer.from(path, "latin1").toString("utf8")))];
    } catch {
      return [];
    }
  });
}
