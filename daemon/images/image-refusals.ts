import { ApiError, type ApiErrorCode } from "../../api/errors.ts";
import { ImageError, type ImageErrorCode } from "../../sentry/image/errors.ts";
import { familiarName, parseReference, withDefaultTag } from "../../sentry/image/reference.ts";

/** What docker answers to whom; codes that are not here are faults. */
const CODES: Partial<Record<ImageErrorCode, ApiErrorCode>> = {
  IMAGE_NOT_FOUND: "NOT_FOUND",
  IMAGE_NOT_LOCAL: "NOT_FOUND",
  IMAGE_CONFLICT: "CONFLICT",
  REFERENCE_INVALID: "INVALID",
  PLATFORM_INVALID: "INVALID",
  PLATFORM_UNAVAILABLE: "NOT_FOUND",
  DIGEST_INVALID: "INVALID",
  FILTER_INVALID: "INVALID",
  CHANGE_INVALID: "INVALID",
  SEARCH_INVALID: "INVALID",
  CREDENTIALS_INVALID: "INVALID",
  REGISTRY_UNAUTHORIZED: "UNAUTHENTICATED",
  REGISTRY_NOT_FOUND: "NOT_FOUND",
  REGISTRY_DENIED: "NOT_FOUND",
  SEARCH_UNSUPPORTED: "NOT_FOUND",
};

/** What a client is told about a refusal; anything else is a fault and stays what it is. */
export function imageRefusal(error: unknown): unknown {
  if (!(error instanceof ImageError)) return error;
  if (error.code === "PLATFORM_INVALID") {
    const [given = '""'] = /"[^"]*"/.exec(error.message) ?? [];
    const why = "unknown operating system or architecture: invalid argument";
    return new ApiError("INVALID", `${given}: ${why}`);
  }
  return new ApiError(CODES[error.code] ?? "INTERNAL", error.message);
}

/** As {@link imageRefusal}, for what a registry refuses to give. */
export function pullRefusal(error: unknown, name: string): unknown {
  if (!(error instanceof ImageError)) return error;
  if (error.code === "REGISTRY_NOT_FOUND") {
    const wanted = familiarName(withDefaultTag(parseReference(name)));
    const manifest = `manifest for ${wanted} not found: manifest unknown: manifest unknown`;
    return new ApiError("NOT_FOUND", manifest);
  }
  if (error.code === "REGISTRY_DENIED" && !error.message.includes("no basic auth")) {
    const { domain, path, tag: _ } = parseReference(name);
    const repository = familiarName({ domain, path });
    return new ApiError(
      "NOT_FOUND",
      `pull access denied for ${repository}, repository does not exist or may require ` +
        "'docker login': denied: requested access to the resource is denied",
    );
  }
  return imageRefusal(error);
}

/** Does `work`, its refusals in docker's words. */
export async function refusingImages<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw imageRefusal(error);
  }
}
