import { BuildError, type BuildErrorCode } from "../errors.ts";
import { type GrpcCode, GrpcError } from "../grpc/status.ts";
import { lineRanges } from "../lint/answers.ts";
import { codec } from "../proto/messages.ts";

const STATUS = codec<{
  readonly code: number;
  readonly message: string;
  readonly details: readonly { readonly type_url: string; readonly value: Uint8Array }[];
}>("RpcStatus");

/** What BuildKit's clients know the place of an error by: they print the lines around it. Its value is JSON. */
const SOURCE_URL = "github.com/moby/buildkit/errdefs.Source+json";

/** Clients print the names of codes before the words, except of the one that says nothing. */
const CODES: Readonly<Partial<Record<BuildErrorCode, GrpcCode>>> = {
  BUILD_CANCELED: "CANCELLED",
  BUILD_UNSUPPORTED: "UNIMPLEMENTED",
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
  const ranges = lineRanges(range);
  const info = {
    filename: source.name,
    language: "Dockerfile",
    data: Buffer.from(source.dockerfile).toString("base64"),
    // It came from no step that could be done again.
    definition: {},
  };
  const value = Buffer.from(JSON.stringify({ info, ranges }));
  const number = new GrpcError(code, "").number;
  const details = [{ type_url: SOURCE_URL, value }];
  return new GrpcError(code, message, STATUS.encode({ code: number, message, details }));
}
