import { Errno } from "../abi/errno.ts";
import type { ProcessSpec, SentryContainer, StartFailure } from "../spec.ts";
import type { ProcessConfig } from "./record.ts";
import { ACCOUNT_FILE_BYTES_MAX, resolveGroups, resolveUser, type User } from "./user.ts";

/**
 * What to start for `config`, its user looked up in the files of the container as they are now.
 * @throws {ContainerError} `NO_SUCH_USER`.
 */
export function processSpec(sentry: SentryContainer, config: ProcessConfig): ProcessSpec {
  const user = accountOf(sentry, config.user);
  const added = resolveGroups(config.groupAdd ?? [], accountFile(sentry, "/etc/group"));
  // As runc: an empty one is none.
  const env = config.env.filter((each) => each !== "HOME=");
  const hasHome = env.some((each) => each.startsWith("HOME="));
  return {
    argv: config.argv,
    env: hasHome ? env : [...env, `HOME=${user.home}`],
    cwd: config.cwd,
    uid: user.uid,
    gid: user.gid,
    // The primary group is among them, as in docker: else a file that keeps that group out would let it in.
    groups: [...new Set([user.gid, ...user.groups, ...added])].sort((a, b) => a - b),
    ...(config.privileged === true ? { privileged: true } : {}),
  };
}

/**
 * Whom `user` is, by the files of the container as they are now.
 * @throws {ContainerError} `NO_SUCH_USER`.
 */
export function accountOf(sentry: SentryContainer, user: string): User {
  const passwd = accountFile(sentry, "/etc/passwd");
  return resolveUser(user, passwd, accountFile(sentry, "/etc/group"));
}

function accountFile(sentry: SentryContainer, path: string): Uint8Array {
  const content = sentry.files.read(path, ACCOUNT_FILE_BYTES_MAX);
  return content instanceof Errno ? new Uint8Array(0) : content;
}

/** The exit code docker gives for a process that could not be started. */
export function exitCodeOf(failure: StartFailure): 125 | 126 | 127 {
  if (failure.what === "container" || failure.what === "limit") return 125;
  return failure.errno.name === "ENOENT" ? 127 : 126;
}

/** What of a failure can be told to another process. */
export interface FailureReason {
  readonly what: StartFailure["what"];
  /** Name of the errno. */
  readonly errno: string;
}

export function reasonOf({ what, errno }: StartFailure): FailureReason {
  return { what, errno: errno.name };
}
