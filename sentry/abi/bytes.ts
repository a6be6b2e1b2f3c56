/**
 * Linux names and paths are bytes, not text. In the sentry they are *byte strings*: JavaScript strings
 * with one character (U+0000 to U+00FF) per byte, which are lossless, comparable and fast to slice.
 * Text from people (command lines, JSON) enters with {@link fromText} and leaves with {@link toText}.
 */
export type ByteString = string;

/** The byte string of a text: its UTF-8 bytes. */
export function fromText(text: string): ByteString {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** A byte string for people: decoded as UTF-8, with U+FFFD where it is not. */
export function toText(bytes: ByteString): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** A byte string as C wants it: its bytes and a terminating NUL. */
export function cstring(bytes: ByteString): Uint8Array {
  return Buffer.from(`${bytes}\0`, "latin1");
}

/** The byte string before the first NUL of `bytes`, or all of them. */
export function untilNul(bytes: Uint8Array): ByteString {
  const end = bytes.indexOf(0);
  return Buffer.from(bytes.buffer, bytes.byteOffset, end < 0 ? bytes.length : end).toString(
    "latin1",
  );
}
