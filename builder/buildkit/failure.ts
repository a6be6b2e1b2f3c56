import { BuildError, type BuildErrorCode } from "../errors.ts";
import { type GrpcCode, GrpcError } from "../grpc/status.ts";
import { codec } from "../proto/messages.ts";

interface Place {
  readonly line: number;
  readonly character: number;
}
const STATUS = codec<{
  readonly code: number;
  readonly message: string;
  readonly details: readonly { readonly type_url: string; readonly value: Uint8Array }[];
}>("RpcStatus");
const SOURCE = codec<{
  readonly info: { readonly filename: string; readonly data: Uint8Array };
  readonly ranges: readonly { readonly start: Place; readonly end: Place }[];
}>("ErrorSource");

/** What BuildKit's clients know the place of an error by: they print the lines around it. */
const SOURCE_URL = "github.com/moby/buildkit/errdefs.Source+json";

const CODES: Readonly<Partial<Record<BuildErrorCode, GrpcCode>>> = {
  BUILD_CANCELED: "CANCELLED",
  BUILD_UNSUPPORTED: "UNIMPLEMENTED",
  BUILD_NOT_FOUND: "NOT_FOUND",
  BUILD_INPUT: "INVALID_ARGUMENT",
};

/** An error of ours as a client of BuildKit is told of it. */
export function describeError(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  const { message } = error as Error;
  if (!(error instanceof BuildError)) return new GrpcError("UNKNOWN", message);
  const { range, source } = error;
  const code = CODES[error.code] ?? "UNKNOWN";
  if (range === undefined || source === undefined || range.start < 1) {
    return new GrpcError(code, message);
  }
  const value = SOURCE.encode({
    info: { filename: source.name, data: source.dockerfile },
    ranges: [
      { start: { line: range.start, character: 0 }, end: { line: range.end, character: 0 } },
    ],
  });
  const number = new GrpcError(code, "").number;
  const details = [{ type_url: SOURCE_URL, value }];
  return new GrpcError(code, message, STATUS.encode({ code: number, message, details }));
}
