import { GrpcError } from "./status.ts";

/** Bytes of one message: gRPC's own default is 4 MiB, BuildKit's 16. */
export const MESSAGE_BYTES_MAX = 16 << 20;
const PREFIX_BYTES = 5;

/** A message with its length before it. */
export function frame(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  bytes.writeUInt8(0, 0);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}

/**
 * The messages in a stream of bytes.
 * @throws {GrpcError} when one is compressed, too large or cut off
 */
export async function* messages(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer, void, void> {
  let chunks: Uint8Array[] = [];
  let length = 0;
  let wanted = PREFIX_BYTES;
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length < wanted) continue;
    let bytes: Buffer = Buffer.concat(chunks, length);
    for (;;) {
      if (bytes.length < PREFIX_BYTES) {
        wanted = PREFIX_BYTES;
        break;
      }
      const size = bytes.readUInt32BE(1);
      if (bytes.readUInt8(0) !== 0) throw new GrpcError("UNIMPLEMENTED", "compressed message");
      if (size > MESSAGE_BYTES_MAX) {
        throw new GrpcError("RESOURCE_EXHAUSTED", `message of ${size} bytes`);
      }
      wanted = PREFIX_BYTES + size;
      if (bytes.length < wanted) break;
      yield bytes.subarray(PREFIX_BYTES, wanted);
      bytes = bytes.subarray(wanted);
    }
    chunks = [bytes];
    length = bytes.length;
  }
  if (length > 0) throw new GrpcError("INTERNAL", "the stream ends within a message");
}
