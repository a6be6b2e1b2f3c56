/** Whose bytes a frame has. */
export type FrameStream = 1 | 2 | 3;
export const STDOUT: FrameStream = 1;
export const STDERR: FrameStream = 2;

const HEADER_BYTES = 8;

/** One frame of `application/vnd.docker.multiplexed-stream`: `[stream, 0, 0, 0, length (BE32)]` and the bytes. */
export function frame(stream: FrameStream, bytes: Uint8Array): Buffer {
  const whole = Buffer.allocUnsafe(HEADER_BYTES + bytes.length);
  whole.writeUInt32BE(stream * 2 ** 24, 0);
  whole.writeUInt32BE(bytes.length, 4);
  whole.set(bytes, HEADER_BYTES);
  return whole;
}
