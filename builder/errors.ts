/** Lines of a Dockerfile, the first being 1, both inclusive. */
export interface SourceRange {
  readonly start: number;
  readonly end: number;
}

export type BuildErrorCode =
  /** The Dockerfile cannot be read. */
  | "DOCKERFILE_INVALID"
  /** The Dockerfile reads well and asks for what is not there or cannot be. */
  | "BUILD_INVALID"
  /** A file to copy, a Dockerfile or a stage is not there. */
  | "BUILD_NOT_FOUND"
  /** A step's command failed. */
  | "STEP_FAILED"
  /** What the client or a remote side sent is not what was agreed. */
  | "BUILD_INPUT"
  /** Well formed, and not done here. */
  | "BUILD_UNSUPPORTED"
  /** Whoever asked for the build has gone. */
  | "BUILD_CANCELED";

/** A build cannot be done; the message is in BuildKit's words where it has some. */
export class BuildError extends Error {
  readonly code: BuildErrorCode;
  /** Where in the Dockerfile, if it is about a place there. */
  range: SourceRange | undefined;
  /** The Dockerfile that {@link range} is about. */
  source: { readonly name: string; readonly dockerfile: Uint8Array } | undefined;
  /** Of a step's command. */
  readonly exitCode: number | undefined;

  constructor(
    code: BuildErrorCode,
    message: string,
    options: {
      readonly range?: SourceRange | undefined;
      readonly exitCode?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "BuildError";
    this.code = code;
    this.range = options.range;
    this.exitCode = options.exitCode;
  }
}

/** Runs `work`; an error of the build that says no place is from then on about `range`. */
export function at<T>(range: SourceRange, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof BuildError) error.range ??= range;
    throw error;
  }
}
