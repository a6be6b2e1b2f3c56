/** Exit codes of ddcli itself, as docker uses them. */
export const EXIT = {
  ok: 0,
  /** The command failed: no such container, registry unreachable, ... */
  failed: 1,
  /** The container could not be run, or the command line is wrong. */
  dd: 125,
  /** The container's command is there but cannot be executed. */
  notExecutable: 126,
  /** The container's command is not there. */
  notFound: 127,
} as const;

/** Something the user can do something about: printed without a stack. */
export class CliError extends Error {
  override name = "CliError";
  /** Stable word for tests and scripts. */
  readonly code: string;
  /** What to do next. */
  readonly hint: string | undefined;
  /** Undefined: what the command's row says. */
  readonly exitCode: number | undefined;

  constructor(
    code: string,
    message: string,
    options: { hint?: string; exitCode?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.exitCode = options.exitCode;
  }
}

/** The command line is wrong. */
export function usageError(message: string, hint?: string): CliError {
  return new CliError("USAGE", message, {
    exitCode: EXIT.dd,
    ...(hint === undefined ? {} : { hint }),
  });
}
