export type DaemonErrorCode = "ALREADY_RUNNING" | "LISTEN_FAILED" | "NOT_RUNNING" | "START_FAILED";

/** Why a daemon does not serve, for the operator. */
export class DaemonError extends Error {
  override name = "DaemonError";
  readonly code: DaemonErrorCode;
  readonly hint: string | undefined;

  constructor(code: DaemonErrorCode, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}
