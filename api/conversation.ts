import type { Duplex, Readable } from "node:stream";
import { DEFAULT_DETACH_KEYS, DetachFilter, parseDetachKeys } from "./detach-keys.ts";
import { type FrameStream, frame, STDERR, STDOUT } from "./multiplex.ts";
import type { ProcessStreams } from "./row.ts";

/** A client that keeps its end open after the last byte is cut off after this time. */
const LINGER_MS = 10_000;

interface ConversationOptions {
  /** Put output into frames. */
  readonly framed: boolean;
  readonly detachKeys: string | undefined;
}

/**
 * Joins a connection with a process until its outputs have ended or the client has gone. Each direction is as
 * fast as its slower side. The client's half-close is the end of the process's input, nothing more.
 */
export function converse(
  connection: Duplex,
  streams: ProcessStreams,
  { framed, detachKeys }: ConversationOptions,
): void {
  let open = true;
  const leave = () => {
    if (!open) return;
    open = false;
    streams.close();
  };
  const finish = () => {
    leave();
    connection.end();
    const timer = setTimeout(() => connection.destroy(), LINGER_MS);
    timer.unref();
    connection.once("close", () => clearTimeout(timer));
    // What the client still sends has nobody to go to; unread, it would keep the connection from closing.
    connection.resume();
  };
  connection.once("close", leave);
  connection.once("error", leave);
  copyInput(connection, streams, detachKeys, finish);
  const outputs = [
    [streams.stdout, STDOUT],
    [streams.stderr, STDERR],
  ] as const;
  let flowing = 0;
  for (const [output, stream] of outputs) {
    if (output === undefined) continue;
    flowing += 1;
    copyOutput(output, connection, framed ? stream : undefined, () => {
      flowing -= 1;
      if (flowing === 0) finish();
    });
  }
  if (flowing === 0) streams.ended?.then(finish, finish);
}

function copyInput(
  connection: Duplex,
  { stdin, tty }: ProcessStreams,
  detachKeys: string | undefined,
  onDetach: () => void,
): void {
  if (stdin === undefined) {
    connection.resume();
    return;
  }
  // A process that has closed its input is no reason to end the conversation.
  stdin.on("error", () => connection.unpipe().resume());
  if (!tty) {
    connection.pipe(stdin);
    return;
  }
  const filter = new DetachFilter(
    parseDetachKeys(
      detachKeys === undefined || detachKeys === "" ? DEFAULT_DETACH_KEYS : detachKeys,
    ),
    onDetach,
  );
  filter.on("error", onDetach);
  connection.pipe(filter).pipe(stdin);
}

function copyOutput(
  output: Readable,
  connection: Duplex,
  stream: FrameStream | undefined,
  onEnd: () => void,
): void {
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    onEnd();
  };
  output.on("data", (chunk: Buffer) => {
    if (connection.destroyed || connection.writableEnded) return;
    const bytes = stream === undefined ? chunk : frame(stream, chunk);
    if (connection.write(bytes)) return;
    output.pause();
    connection.once("drain", () => output.resume());
  });
  output.on("end", end);
  output.on("error", end);
  output.on("close", end);
}
