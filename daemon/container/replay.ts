import { PassThrough, type Readable } from "node:stream";
import type { LogPiece } from "../../api/engine/containers.ts";

/** Outputs as they were logged, for a client that asks for what was printed before it came. */
export interface Replay {
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
}

/**
 * Divides a log into the streams it is of. Both end with it.
 * @param wanted the streams somebody reads; pieces of others are dropped.
 */
export function replay(
  pieces: AsyncIterable<LogPiece>,
  wanted: { readonly stdout: boolean; readonly stderr: boolean },
): Replay {
  const stdout = wanted.stdout ? new PassThrough() : undefined;
  const stderr = wanted.stderr ? new PassThrough() : undefined;
  const streams = { stdout, stderr };
  const pump = async () => {
    for await (const { stream, bytes } of pieces) {
      const output = streams[stream];
      if (output === undefined || output.destroyed) continue;
      if (!output.write(bytes)) await taken(output);
    }
    stdout?.end();
    stderr?.end();
  };
  pump().catch((error: Error) => {
    stdout?.destroy(error);
    stderr?.destroy(error);
  });
  return streams;
}

/** Until there is room again, or nobody reads any more. */
function taken(output: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      output.off("drain", settle).off("close", settle);
      resolve();
    };
    output.on("drain", settle).on("close", settle);
  });
}
