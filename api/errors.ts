/**
 * Every refusal of the API: a stable code, its HTTP status, and docker's words. Clients match the words (the
 * docker CLI chooses its exit code by them), so each phrase is written once, here.
 */

type Words = (...details: readonly string[]) => string;

/** Rows: status, and the message made of the details given. */
const ERRORS = {
  PAGE_NOT_FOUND: [404, () => "page not found"],
  VERSION_TOO_NEW: [
    400,
    (version = "", max = "") =>
      `client version ${version} is too new. Maximum supported API version is ${max}`,
  ],
  VERSION_TOO_OLD: [
    400,
    (version = "", min = "") =>
      `client version ${version} is too old. Minimum supported API version is ${min}, ` +
      "please upgrade your client to a newer version",
  ],
  /** Anything wrong with the request that has no phrase of its own. */
  INVALID: [400, (message = "") => message],
  INVALID_JSON: [400, (why = "") => `invalid JSON: ${why}`],
  INVALID_FILTER: [400, (name = "") => `invalid filter '${name}'`],
  INVALID_FILTER_VALUE: [400, (name = "", value = "") => `invalid filter '${name}=[${value}]'`],
  INVALID_FILTER_CHOICE: [
    400,
    (name = "", value = "", why = "") => `invalid filter '${name}=${value}': ${why}`,
  ],
  UNSUPPORTED_MEDIA: [
    400,
    (type = "") => `unsupported Content-Type header (${type}): must be 'application/json'`,
  ],
  /** What follows the first value of a body. */
  TRAILING_CONTENT: [400, () => "unexpected content after JSON"],
  INVALID_SIZE: [
    400,
    (side = "", text = "", why = "") => `invalid resize ${side} ${JSON.stringify(text)}: ${why}`,
  ],
  NO_UPGRADE: [400, () => "no upgrade proto in request"],
  UNKNOWN_UPGRADE: [400, (protocol = "") => `protocol ${protocol} not supported`],
  BODY_TOO_LARGE: [413, () => "http: request body too large"],
  CROSS_SITE: [403, () => "cross-site requests are refused"],
  UNAUTHORIZED: [401, () => "a token is required"],
  NOT_IMPLEMENTED: [501, (what = "") => `${what} is not supported`],
  NOT_A_SWARM: [
    503,
    () =>
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect ' +
      "this node to swarm and try again.",
  ],
  NOT_A_SWARM_MEMBER: [503, () => "This node is not part of a swarm"],
  NO_SUCH_CONTAINER: [404, (name = "") => `No such container: ${name}`],
  AMBIGUOUS_ID: [400, (prefix = "") => `multiple IDs found with provided prefix: ${prefix}`],
  NAME_IN_USE: [
    409,
    (name = "", id = "") =>
      `Conflict. The container name "/${name}" is already in use by container "${id}". You have to ` +
      "remove (or rename) that container to be able to reuse that name.",
  ],
  INVALID_NAME: [
    400,
    (name = "") => `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
  ],
  NO_CONFIG: [400, () => "config cannot be empty in order to create a container"],
  START_CONFIG: [
    400,
    () =>
      "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
  ],
  NO_COMMAND: [400, () => "no command specified"],
  NOT_RUNNING: [409, (id = "") => `container ${id} is not running`],
  LOG_UNREADABLE: [501, () => "configured logging driver does not support reading"],
  ALREADY_PAUSED: [409, (id = "") => `Container ${id} is already paused`],
  START_PAUSED: [409, () => "cannot start a paused container, try unpause instead."],
  NOT_PAUSED: [409, (id = "") => `Container ${id} is not paused`],
  IS_PAUSED: [409, (id = "") => `Container ${id} is paused, unpause the container before exec`],
  ATTACH_PAUSED: [
    409,
    (id = "") => `container ${id} is paused, unpause the container before attach.`,
  ],
  IS_RESTARTING: [
    409,
    (id = "") => `Container ${id} is restarting, wait until the container is running`,
  ],
  CANNOT_KILL: [409, (id = "", why = "") => `cannot kill container: ${id}: ${why}`],
  CANNOT_REMOVE_RUNNING: [
    409,
    (name = "") =>
      `cannot remove container "/${name}": container is running: stop the container before ` +
      "removing or force remove",
  ],
  CANNOT_REMOVE_RESTARTING: [
    409,
    (name = "") =>
      `cannot remove container "/${name}": container is restarting: stop the container before ` +
      "removing or force remove",
  ],
  CANNOT_REMOVE_PAUSED: [
    409,
    (name = "") =>
      `cannot remove container "/${name}": container is paused and must be unpaused first`,
  ],
  REMOVAL_IN_PROGRESS: [409, (id = "") => `removal of container ${id} is already in progress`],
  /** Another process has the container in hand for longer than a start or an end takes. */
  BUSY: [409, (id = "") => `container ${id} is in use by another process`],
  /** The reason a container or an exec did not start, in runc's words. */
  START_FAILED: [400, (why = "") => why],
  START_IMPOSSIBLE: [500, (why = "") => why],
  NO_SUCH_EXEC: [404, (id = "") => `No such exec instance: ${id}`],
  NO_EXEC_COMMAND: [400, () => "No exec command specified"],
  EXEC_STARTED: [409, (id = "") => `Error: Exec command ${id} is already running`],
  EXEC_NOT_RUNNING: [409, (id = "") => `exec ${id} is not running`],
  EXEC_ENDED: [409, (id = "") => `Error: Exec command ${id} has already run`],
  NO_SUCH_IMAGE: [404, (name = "") => `No such image: ${name}`],
  INVALID_REFERENCE: [400, (why = "") => why],
  NO_SUCH_NETWORK: [404, (name = "") => `network ${name} not found`],
  NO_SUCH_VOLUME: [404, (name = "") => `get ${name}: no such volume`],
  VOLUME_IN_USE: [409, (why = "") => why],
  NO_SUCH_PLUGIN: [404, (name = "") => `plugin "${name}" not found`],
  /** A registry does not take the credentials it was shown. */
  UNAUTHENTICATED: [401, (message = "") => message],
  CONFLICT: [409, (message = "") => message],
  NOT_FOUND: [404, (message = "") => message],
  FORBIDDEN: [403, (message = "") => message],
  NOT_MODIFIED: [304, () => ""],
  /** A fault of ours; the reason is logged. */
  INTERNAL: [500, (message = "") => message],
} as const satisfies Readonly<Record<string, readonly [status: number, words: Words]>>;

export type ApiErrorCode = keyof typeof ERRORS;

/** What an {@link import("./engine.ts").Engine} throws when it will not do what was asked. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly code: ApiErrorCode;
  readonly status: number;

  /** @param details what the code's phrase has places for; they may be a client's own words. */
  constructor(code: ApiErrorCode, ...details: readonly string[]) {
    const [status, words]: readonly [number, Words] = ERRORS[code];
    super(words(...details));
    this.code = code;
    this.status = status;
  }
}

/**
 * The status and the body of the reply that tells about `error`, and whether it is a fault of ours: something
 * nobody has thought of.
 */
export function describeError(error: unknown): {
  readonly status: number;
  readonly message: string;
  readonly isFault: boolean;
} {
  if (error instanceof ApiError) {
    return { status: error.status, message: error.message, isFault: false };
  }
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  const status = typeof statusCode === "number" && statusCode >= 400 ? statusCode : 500;
  const text = typeof message === "string" && message !== "" ? message : "internal error";
  return { status, message: text, isFault: status >= 500 };
}
