/** The sentry's own confinement in untrusted mode: a second line, for the day a guest finds a bug in it. */
import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { sentryConfinement } from "../profiles/linux/sentry.ts";
import type { PathValues } from "../profiles/paths.ts";
import { type ByteString, fromText } from "./abi/bytes.ts";
import { confineSelf } from "./host/confine.ts";
import { launcherPath } from "./machine/launcher.ts";
import type { ContainerSpec } from "./spec.ts";

/** Beyond what every sentry needs: users and groups, wherever a distribution keeps them. */
const SYSTEM = ["/etc"];

/**
 * Confines this process to what the container needs of the host's files.
 * @throws ConfinementRefused when the host cannot; then nothing may be started.
 */
export function confineSentry(spec: ContainerSpec): void {
  confineSelf(sentryConfinement(pathValues(spec)));
}

function pathValues(spec: ContainerSpec): PathValues {
  // Layers are in the store.
  const binds = spec.mounts.filter((mount) => "source" in mount);
  const sources = (readOnly: boolean) =>
    binds.filter((mount) => mount.readOnly === readOnly).map(({ source }) => source);
  const host = spec.rootfs.image === "host" ? HOST_DIRECTORIES : [];
  return {
    install: existing([new URL("../..", import.meta.url).pathname.replace(/\/$/, "")]),
    program: existing([launcherPath(spec.isa), process.execPath]),
    store: existing([spec.rootfs.store, spec.rootfs.upper]),
    // Its parent: a directory is removed by right of the one above.
    run: existing([dirname(spec.runDirectory)]),
    "read-only": existing([...sources(true), ...host]),
    "read-write": existing(sources(false)),
    system: existing(SYSTEM),
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
