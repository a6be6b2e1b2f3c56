import { ApiError } from "../../api/errors.ts";
import { StartError } from "../../sentry/container/background.ts";
import type { FailureReason } from "../../sentry/container/process-spec.ts";

/** The reasons clients tell apart by runc's words; the docker CLI exits with 127 or 126 by them. */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  ENOEXEC: "exec format error",
  EISDIR: "is a directory",
  ENOTDIR: "not a directory",
  ELOOP: "too many levels of symbolic links",
  ENAMETOOLONG: "file name too long",
  ETXTBSY: "text file busy",
  ENOMEM: "cannot allocate memory",
};

const START =
  "failed to create task for container: failed to create shim task: OCI runtime create failed: runc " +
  "create failed: unable to start container process: error during container init: ";
const EXEC = "OCI runtime exec failed: exec failed: unable to start container process: ";

/** Why a container did not start, as docker says it. */
export function startRefusal(error: unknown, argv: readonly string[], cwd: string): unknown {
  if (!(error instanceof StartError)) return error;
  const { reason, message } = error;
  if (reason === undefined || reason.what === "container") {
    return new ApiError(error.exitCode === 125 ? "START_IMPOSSIBLE" : "START_FAILED", message);
  }
  return new ApiError("START_FAILED", `${START}${detail(reason, argv[0] ?? "", cwd)}: unknown`);
}

/** Why an exec did not start, as docker says it; and the exit code it is left with. */
export function execFailure(
  reason: FailureReason | undefined,
  message: string,
  argv: readonly string[],
  cwd: string,
): string {
  if (reason === undefined || reason.what === "container") return message;
  return `${EXEC}${detail(reason, argv[0] ?? "", cwd)}: unknown`;
}

function detail({ what, errno }: FailureReason, program: string, cwd: string): string {
  const words = WORDS[errno] ?? errno;
  if (what === "cwd")
    return `chdir to cwd (${JSON.stringify(cwd)}) set in config.json failed: ${words}`;
  const quoted = JSON.stringify(program);
  if (errno !== "ENOENT") return `exec: ${quoted}: ${words}`;
  return program.includes("/")
    ? `exec: ${quoted}: stat ${program}: ${words}`
    : `exec: ${quoted}: executable file not found in $PATH`;
}
