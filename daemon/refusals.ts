import { ApiError } from "../api/errors.ts";
import { ContainerError, type ContainerErrorCode } from "../sentry/container/errors.ts";
import { imageRefusal } from "./images/image-refusals.ts";

/** Docker's words for what a store refuses; those that are not here are a bad request with their own. */
const OF_CONTAINERS: Partial<Record<ContainerErrorCode, (name: string, why: string) => ApiError>> =
  {
    NO_SUCH_CONTAINER: (name) => new ApiError("NO_SUCH_CONTAINER", name),
    AMBIGUOUS_ID: (name) => new ApiError("AMBIGUOUS_ID", name),
    INVALID_NAME: (name) => new ApiError("INVALID_NAME", name),
    CONTAINER_NOT_RUNNING: (name) => new ApiError("NOT_RUNNING", name),
    CONTAINER_BUSY: (name) => new ApiError("BUSY", name),
    NO_COMMAND: () => new ApiError("NO_COMMAND"),
    NAME_IN_USE: (_name, why) => new ApiError("CONFLICT", why),
    NO_SUCH_VOLUME: (name) => new ApiError("NO_SUCH_VOLUME", name),
    VOLUME_IN_USE: (_name, why) => new ApiError("VOLUME_IN_USE", why),
    NO_SUCH_NETWORK: (name) => new ApiError("NO_SUCH_NETWORK", name),
    NO_SUCH_DRIVER: (_name, why) => new ApiError("NOT_FOUND", why),
    NETWORK_EXISTS: (_name, why) => new ApiError("CONFLICT", why),
    NETWORK_IN_USE: (_name, why) => new ApiError("FORBIDDEN", why),
    PREDEFINED_NETWORK: (_name, why) => new ApiError("FORBIDDEN", why),
    POOL_OVERLAPS: (_name, why) => new ApiError("FORBIDDEN", why),
    ALREADY_CONNECTED: (_name, why) => new ApiError("FORBIDDEN", why),
    ADDRESS_IN_USE: (_name, why) => new ApiError("FORBIDDEN", why),
    NOT_CONNECTED: (_name, why) => new ApiError("INTERNAL", why),
    CONTROL_FAILED: (_name, why) => new ApiError("INTERNAL", why),
  };

/**
 * What a client is told about a refusal of the stores; anything else is a fault and stays what it is.
 * @param name what the client called the thing.
 */
export function refusal(error: unknown, name: string): unknown {
  if (error instanceof ContainerError) {
    const { code, message } = error;
    return OF_CONTAINERS[code]?.(name, message) ?? new ApiError("INVALID", message);
  }
  return imageRefusal(error);
}

/** Runs `work`, its refusals in docker's words. */
export function refusing<T>(name: string, work: () => T): T {
  try {
    const result = work();
    if (result instanceof Promise) {
      return result.catch((error: unknown) => {
        throw refusal(error, name);
      }) as T;
    }
    return result;
  } catch (error) {
    throw refusal(error, name);
  }
}
