import { toText } from "../abi/bytes.ts";
import type { Errno } from "../abi/errno.ts";
import type { FilesErrorCode } from "../spec.ts";

/** Why files could not be copied, in docker's words where it has some. */
export class FilesError extends Error {
  override name = "FilesError";
  readonly code: FilesErrorCode;

  constructor(code: FilesErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A call that failed, as Go reports it. @param path as a byte string. */
export function failed(what: string, path: string, error: Errno): FilesError {
  return new FilesError("FILES_FAILED", `${what} ${toText(path)}: ${error.text.toLowerCase()}`);
}
