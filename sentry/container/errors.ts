import type { FilesErrorCode } from "../spec.ts";

/** What can go wrong with containers, for whoever asked: a stable code and docker's words where it has some. */
export type ContainerErrorCode =
  | "NO_SUCH_CONTAINER"
  | "AMBIGUOUS_ID"
  | "NAME_IN_USE"
  | "INVALID_NAME"
  | "CONTAINER_RUNNING"
  | "CONTAINER_NOT_RUNNING"
  | "CONTAINER_BUSY"
  | "BAD_STATE_DIRECTORY"
  | "BAD_RUN_DIRECTORY"
  | "NO_SUCH_USER"
  | "NO_COMMAND"
  | "INVALID_WORKDIR"
  | "INVALID_MOUNT"
  | "MOUNT_SOURCE_MISSING"
  | "MOUNT_REFUSED"
  | "NO_SUCH_VOLUME"
  | "VOLUME_IN_USE"
  | "INVALID_VOLUME"
  | "NO_SUCH_NETWORK"
  | "NETWORK_EXISTS"
  | "NETWORK_IN_USE"
  | "PREDEFINED_NETWORK"
  | "INVALID_NETWORK"
  | "INVALID_ENDPOINT"
  | "POOL_OVERLAPS"
  | "NO_ADDRESS"
  | "ADDRESS_IN_USE"
  | "NO_SUCH_DRIVER"
  | "ALREADY_CONNECTED"
  | "NOT_CONNECTED"
  | "PORT_TAKEN"
  | "INVALID_EGRESS"
  | "NO_LOG"
  | "NO_LAYERS"
  | "INVALID_OPTION"
  | "DEVICE_REFUSED"
  | "CONTROL_FAILED"
  | "START_FAILED"
  | "NO_INIT"
  | "BAD_PLATFORM";

export class ContainerError extends Error {
  override name = "ContainerError";
  readonly code: ContainerErrorCode;
  /** What to do next, when that is not obvious. */
  readonly hint: string | undefined;

  constructor(code: ContainerErrorCode, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** Why files could not be copied into or out of a container; see {@link FilesErrorCode}. */
export class ContainerFilesError extends Error {
  override name = "ContainerFilesError";
  readonly code: FilesErrorCode;

  constructor(code: FilesErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
