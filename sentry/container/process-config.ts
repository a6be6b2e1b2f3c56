import { posix } from "node:path";
import { fromText } from "../abi/bytes.ts";
import { ContainerError } from "./errors.ts";
import type { ProcessConfig } from "./record.ts";

/** What docker gives a container whose image sets no PATH. */
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What docker tells a process that has a terminal, and its place among the variables of a container. */
const TERM = "TERM=xterm";
const TERM_AT = 2;

/** The part of an image's configuration that says what to run; see the OCI image specification. */
export interface ImageDefaults {
  readonly Env: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir: string;
  readonly User: string;
}

/** What the user asked for, beside the image's own configuration. */
export interface ProcessChoice {
  /** Arguments after the image; empty: the image's command. */
  readonly args: readonly string[];
  /** `undefined`: the image's; empty: none. */
  readonly entrypoint: string | readonly string[] | undefined;
  /** `NAME=value`, or `NAME` alone, which removes the variable. */
  readonly env: readonly string[];
  readonly workdir: string | undefined;
  readonly user: string | undefined;
  readonly tty: boolean;
  readonly hostname: string;
  /** Of an exec. */
  readonly privileged?: boolean;
}

/**
 * What the container's first process is: the image's configuration with the user's choices on top.
 * @throws {ContainerError} `NO_COMMAND` when neither says what to run, `INVALID_WORKDIR`.
 */
export function processConfig(image: ImageDefaults, choice: ProcessChoice): ProcessConfig {
  const chosen = typeof choice.entrypoint === "string" ? [choice.entrypoint] : choice.entrypoint;
  const own = chosen ?? image.Entrypoint ?? [];
  const entrypoint = own.filter((word, i) => i > 0 || word !== "");
  // An entrypoint of the user's makes the image's command meaningless.
  const command =
    choice.args.length > 0 || (chosen?.length ?? 0) > 0 ? choice.args : (image.Cmd ?? []);
  const argv = [...entrypoint, ...command];
  if (argv.length === 0) {
    throw new ContainerError(
      "NO_COMMAND",
      "no command specified",
      "The image names none: give one after the image",
    );
  }
  const cwd = choice.workdir ?? (image.WorkingDir === "" ? "/" : image.WorkingDir);
  const defaults = [
    `PATH=${DEFAULT_PATH}`,
    `HOSTNAME=${choice.hostname}`,
    ...(choice.tty ? [TERM] : []),
  ];
  return {
    argv: argv.map(fromText),
    env: mergeEnv(mergeEnv(defaults, image.Env), choice.env).map(fromText),
    cwd: fromText(checkWorkdir(cwd)),
    user: choice.user ?? image.User,
  };
}

/**
 * What an exec runs: the container's environment and directory, with the user's choices on top.
 * @param hasTerminal the container has one: the variable that says so is not for an exec without.
 * @throws {ContainerError} `INVALID_WORKDIR`.
 */
export function execConfig(
  container: ProcessConfig,
  choice: ProcessChoice,
  hasTerminal: boolean,
): ProcessConfig {
  const inherited = container.env
    .map((each) => Buffer.from(each, "latin1").toString("utf8"))
    .filter((each, i) => !hasTerminal || choice.tty || i !== TERM_AT || each !== TERM);
  const env = mergeEnv(choice.tty ? [TERM, ...inherited] : inherited, choice.env);
  return {
    argv: choice.args.map(fromText),
    env: mergeEnv([], env).map(fromText),
    cwd: choice.workdir === undefined ? container.cwd : fromText(checkWorkdir(choice.workdir)),
    user: choice.user ?? container.user,
    ...(container.groupAdd === undefined ? {} : { groupAdd: container.groupAdd }),
    ...(choice.privileged === true ? { privileged: true } : {}),
  };
}

/** Variables with later ones replacing earlier ones in their place; `NAME` without `=` removes it. */
function mergeEnv(base: readonly string[], changes: readonly string[]): readonly string[] {
  const variables = new Map<string, string>();
  for (const word of [...base, ...changes]) {
    const equals = word.indexOf("=");
    if (equals < 0) variables.delete(word);
    else variables.set(word.slice(0, equals), word.slice(equals + 1));
  }
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

/** Variables as they are written, and those of `defaults` that have none of their names. */
export function withDefaults(
  variables: readonly string[],
  defaults: readonly string[],
): readonly string[] {
  const nameOf = (word: string) => word.split("=", 1)[0] ?? "";
  const names = new Set(variables.map(nameOf));
  return [...variables, ...defaults.filter((word) => !names.has(nameOf(word)))];
}

function checkWorkdir(path: string): string {
  if (path.startsWith("/") && !path.includes("\0")) {
    return posix.normalize(path).replace(/(?<=.)\/$/, "");
  }
  throw new ContainerError(
    "INVALID_WORKDIR",
    `the working directory '${path}' is invalid, it needs to be an absolute path`,
  );
}
