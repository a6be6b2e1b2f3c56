import { ImageError } from "./errors.ts";

/**
 * The bytes of an archive that the operator gave us, as a file or a pipe. What goes wrong with those is
 * not the store's fault, and is said so; `signal` ends the reading between two pieces. The first
 * piece is asked for at once: a stream that fails before anybody listens would end the process.
 * @throws {ImageError} ARCHIVE_UNREADABLE, ABORTED
 */
export function readArchive(
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const pieces = archive[Symbol.asyncIterator]();
  const first = pieces.next();
  first.catch(() => undefined); // it is looked at below
  return read(pieces, first, signal);
}

async function* read(
  pieces: AsyncIterator<Uint8Array>,
  first: Promise<IteratorResult<Uint8Array>>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    for (let piece = first; ; piece = pieces.next()) {
      const next = await piece.catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        throw new ImageError("ARCHIVE_UNREADABLE", reason, { cause: error });
      });
      if (signal?.aborted) throw new ImageError("ABORTED");
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await pieces.return?.();
  }
}
