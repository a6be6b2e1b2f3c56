import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { ContainerError } from "./errors.ts";

/** Where everything is kept. */
export interface Directories {
  /** `DD_ROOT`: images, containers, volumes. Survives a reboot. */
  readonly root: string;
  /** `DD_RUN`: sockets of running containers. Gone after a reboot. */
  readonly run: string;
}

/** Reads the environment; touches nothing. */
export function directoriesOf(env: NodeJS.ProcessEnv): Directories {
  const data = absolute(env["XDG_DATA_HOME"]) ?? join(homedir(), ".local", "share");
  const runtime = absolute(env["XDG_RUNTIME_DIR"]);
  return {
    root: env["DD_ROOT"] ? resolve(env["DD_ROOT"]) : join(data, "dd"),
    run: env["DD_RUN"]
      ? resolve(env["DD_RUN"])
      : runtime === undefined
        ? `/tmp/dd-${userId()}`
        : join(runtime, "dd"),
  };
}

/**
 * The environment of a process that runs a container of these directories. Such a process asks no registry, so
 * it is spared the certificates which Node reads as it starts: they take longer than everything else it does then.
 */
export function processEnvironment({ root, run }: Directories): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _certificates, ...rest } = process.env;
  return { ...rest, DD_ROOT: root, DD_RUN: run };
}

/** The XDG Base Directory Specification: a path that is not absolute is to be ignored. */
function absolute(path: string | undefined): string | undefined {
  return path?.startsWith("/") === true ? path : undefined;
}

function userId(): number {
  return process.getuid?.() ?? 0;
}

/**
 * Makes the directories where they are missing.
 * @throws {ContainerError} `BAD_RUN_DIRECTORY` when the run directory could be another user's: in /tmp
 *   anybody can make a directory, or a symlink, of that name first.
 */
export function ensureDirectories(directories: Directories): void {
  try {
    mkdirSync(directories.root, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ContainerError(
      "BAD_STATE_DIRECTORY",
      `The state directory ${directories.root} cannot be made: ${(error as Error).message}`,
      "Set DD_ROOT to a directory you can write to",
    );
  }
  try {
    mkdirSync(directories.run, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw badRunDirectory(directories.run, (error as Error).message);
  }
  const stat = lstatSync(directories.run);
  if (!stat.isDirectory()) throw badRunDirectory(directories.run, "it is no directory");
  if (stat.uid !== userId()) throw badRunDirectory(directories.run, "it belongs to another user");
  if ((stat.mode & 0o077) !== 0) chmodSync(directories.run, 0o700);
}

function badRunDirectory(path: string, why: string): ContainerError {
  return new ContainerError(
    "BAD_RUN_DIRECTORY",
    `The run directory ${path} cannot be used: ${why}`,
    "Remove it, or set DD_RUN to a directory of your own",
  );
}
