/** gRPC's status codes that we use. */
const CODES = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;
export type GrpcCode = keyof typeof CODES;

/** A call that ended with another status than OK. */
export class GrpcError extends Error {
  override name = "GrpcError";
  readonly code: GrpcCode;
  /** A `google.rpc.Status` message that says more, encoded. */
  readonly details: Uint8Array | undefined;

  constructor(code: GrpcCode, message: string, details?: Uint8Array) {
    super(message);
    this.code = code;
    this.details = details;
  }

  get number(): number {
    return CODES[this.code];
  }
}

/** The name of a status code; what we do not know is `UNKNOWN`. */
export function codeOf(number: number): GrpcCode {
  const found = Object.entries(CODES).find(([, value]) => value === number);
  return (found?.[0] as GrpcCode | undefined) ?? "UNKNOWN";
}

/** A text as the `grpc-message` header has it. */
export function encodeMessage(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    )
    .join("");
}

export function decodeMessage(text: string): string {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const hex = /^%([0-9a-fA-F]{2})/.exec(text.slice(i, i + 3))?.[1];
    bytes.push(hex === undefined ? text.charCodeAt(i) & 0xff : Number.parseInt(hex, 16));
    if (hex !== undefined) i += 2;
  }
  return Buffer.from(bytes).toString("utf8");
}
