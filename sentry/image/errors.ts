/** Everything that can be wrong with an image: the stable code, and what it means. */
const SENTENCES = {
  LAYER_PATH: "A name in the layer leads outside of it",
  LAYER_ENTRY: "The layer holds a malformed entry",
  LAYER_LINK: "A hard link in the layer has no target",
  LAYER_WHITEOUT: "The layer holds a malformed whiteout",
  LAYER_LIMIT: "The layer exceeds a limit",
  LAYER_TRUNCATED: "The layer ends too early",
  LAYER_CORRUPT: "The layer is corrupt",
  LAYER_UNSUPPORTED: "The layer uses a feature that is not supported",
  DIGEST_INVALID: "invalid digest format",
  DIGEST_MISMATCH: "The content does not have the promised digest",
  SIZE_MISMATCH: "The content does not have the promised size",
  DIFF_ID_MISMATCH: "The unpacked layer does not have the digest that the image's config promises",
  REFERENCE_INVALID: "invalid reference format",
  PLATFORM_INVALID: "The platform is malformed",
  PLATFORM_UNAVAILABLE: "The image does not exist for the platform",
  MANIFEST_INVALID: "The manifest is malformed",
  CONFIG_INVALID: "The image's config is malformed",
  ARCHIVE_INVALID: "The archive holds no image",
  ARCHIVE_UNREADABLE: "The archive cannot be read",
  REGISTRY_UNREACHABLE: "The registry cannot be reached",
  REGISTRY_UNTRUSTED: "There is no trusted connection to the registry",
  REGISTRY_STALLED: "The registry stopped answering",
  REGISTRY_PROTOCOL: "The registry gave an unexpected answer",
  REGISTRY_DENIED: "The registry denied access",
  REGISTRY_NOT_FOUND: "manifest unknown",
  REGISTRY_INSECURE: "The registry may only be reached through https",
  REGISTRY_UNAUTHORIZED: "unauthorized",
  CREDENTIALS_INVALID: "The credentials cannot be used",
  SETTINGS_INVALID: "The settings for registries cannot be used",
  SEARCH_INVALID: "The search cannot be made",
  SEARCH_UNSUPPORTED: "The registry cannot be searched",
  SOURCE_INVALID: "The archive cannot be fetched",
  STORE_FULL: "No space is left for images",
  STORE_IO: "The image store cannot be used",
  STORE_BUSY: "The image store is in use",
  IMAGE_NOT_FOUND: "No such image",
  IMAGE_NOT_LOCAL: "An image does not exist locally with the tag",
  IMAGE_CONFLICT: "conflict",
  FILTER_INVALID: "The filter cannot be used",
  CHANGE_INVALID: "The change to the image's config is malformed",
  ABORTED: "The operation was cancelled",
} as const;

export type ImageErrorCode = keyof typeof SENTENCES;

/** An image, registry or store that cannot be used, in words for the operator. */
export class ImageError extends Error {
  readonly code: ImageErrorCode;

  /** `detail` completes the sentence of `code`, after a colon. */
  constructor(code: ImageErrorCode, detail?: string, options?: { cause?: unknown }) {
    super(detail === undefined ? SENTENCES[code] : `${SENTENCES[code]}: ${detail}`, options);
    this.name = "ImageError";
    this.code = code;
  }
}

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** The error to report for a failed file operation of the store; others pass unchanged. */
export function storeError(error: unknown): unknown {
  if (error instanceof ImageError || !(error instanceof Error) || !("code" in error)) return error;
  const code = String(error.code);
  if (FULL.has(code)) return new ImageError("STORE_FULL", error.message, { cause: error });
  if ("syscall" in error && "errno" in error) {
    return new ImageError("STORE_IO", error.message, { cause: error });
  }
  return error;
}

/** A name from an image for an error text: readable, on one line, and not endless. */
export function quoted(bytes: string): string {
  const text = Buffer.from(bytes, "latin1").toString("utf8");
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 117)}...` : text);
}
