import { ApiError } from "../../api/errors.ts";
import { StartError } from "../../sentry/container/background.ts";
import type { FailureReason } from "../../sentry/container/process-spec.ts";
import type { ContainerState } from "../../sentry/container/record.ts";

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

/** What runc finds when it looks at a path, before it tries to execute what is there. */
const UNREACHABLE: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"]);

/** How ddcli exits when it is no fault of the command's. */
const UNKNOWN_FAILURE = 125;

const START =
  "failed to create task for container: failed to create shim task: OCI runtime create failed: runc " +
  "create failed: unable to start container process: ";
const INIT = "error during container init: ";
const LIMITS = "error setting rlimits for ready process: ";
const EXEC = "OCI runtime exec failed: exec failed: unable to start container process: ";

/** Why a container did not start, as docker says it. */
export function startRefusal(error: unknown, argv: readonly string[], cwd: string): unknown {
  if (!(error instanceof StartError)) return error;
  const { reason, message } = error;
  const isCommand = reason?.what === "program" || error.exitCode !== UNKNOWN_FAILURE;
  const words = startWords(reason, message, argv, cwd);
  return new ApiError(isCommand ? "START_FAILED" : "START_IMPOSSIBLE", words);
}

function startWords(
  reason: FailureReason | undefined,
  message: string,
  argv: readonly string[],
  cwd: string,
): string {
  if (reason === undefined || reason.what === "container") return message;
  if (reason.what === "cwd" && reason.errno === "ENOTDIR") {
    return `Cannot mkdir: ${cwd} is not a directory`;
  }
  if (reason.what === "limit") return `${START}${LIMITS}${message}: unknown`;
  return `${START}${INIT}${detail(reason, argv[0] ?? "", cwd)}: unknown`;
}

/** What inspect shows of a container that could not be started; its exit code is 128 where no command is at fault. */
export function describeFailure(
  { exitCode, error = "", reason }: ContainerState & { status: "exited" },
  argv: readonly string[],
  cwd: string,
): { readonly ExitCode: number; readonly Error: string } {
  const atFault = reason === undefined ? exitCode !== UNKNOWN_FAILURE : reason.what === "program";
  return {
    ExitCode: atFault ? exitCode : 128,
    Error: startWords(reason, error, argv, cwd),
  };
}

/** Why an exec did not start, as docker says it; and the exit code it is left with. */
export function execFailure(
  reason: FailureReason | undefined,
  message: string,
  argv: readonly string[],
  cwd: string,
): string {
  if (reason === undefined || reason.what === "container") return message;
  if (reason.what === "limit") return `${EXEC}${LIMITS}${message}: unknown`;
  return `${EXEC}${detail(reason, argv[0] ?? "", cwd)}: unknown`;
}

function detail({ what, errno }: FailureReason, program: string, cwd: string): string {
  const words = WORDS[errno] ?? errno;
  if (what === "cwd")
    return `chdir to cwd (${JSON.stringify(cwd)}) set in config.json failed: ${words}`;
  const quoted = JSON.stringify(program);
  if (errno === "ENOENT" && !program.includes("/")) {
    return `exec: ${quoted}: executable file not found in $PATH`;
  }
  const isPath = UNREACHABLE.has(errno);
  return isPath ? `exec: ${quoted}: stat ${program}: ${words}` : `exec: ${quoted}: ${words}`;
}
