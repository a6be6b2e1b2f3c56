import { join } from "node:path";
import type { AttachChoice, LogChoice, LogPiece } from "../../api/engine/containers.ts";
import { ApiError } from "../../api/errors.ts";
import type { ProcessStreams } from "../../api/row.ts";
import { ask } from "../../sentry/container/ask.ts";
import type { ClientChoice } from "../../sentry/container/background.ts";
import type { Container } from "../../sentry/container/record.ts";
import { LOG_FILE } from "../../sentry/container/streams.ts";
import type { DaemonContext } from "../context.ts";
import { closeAll, type InputPipe, inputPipe, type OutputPipe, outputPipe } from "../pipes.ts";
import { attributesOf } from "./attributes.ts";
import { readPieces } from "./logs.ts";
import { replay } from "./replay.ts";
import type { Supervisor } from "./supervisor.ts";

/** Pipes to a container for the streams a client wants. */
interface ClientPipes {
  readonly choice: ClientChoice;
  readonly stdin: InputPipe | undefined;
  readonly stdout: OutputPipe | undefined;
  readonly stderr: OutputPipe | undefined;
  /** The container's ends, in the order of the control protocol. */
  readonly descriptors: readonly number[];
}

/**
 * Joins a client with a container's streams: at once when it runs, else from its first byte on.
 * @throws {ApiError} when it is run in somebody's foreground.
 */
export async function attachTo(
  context: DaemonContext,
  supervisor: Supervisor,
  container: Container,
  choice: AttachChoice,
): Promise<ProcessStreams> {
  const { record, state } = container;
  const { id } = record.spec;
  // With a terminal there is one output, whichever was asked for.
  const outputs = {
    stdout: record.tty ? choice.stdout || choice.stderr : choice.stdout,
    stderr: !record.tty && choice.stderr,
  };
  const replays = choice.logs && state.status !== "created" && record.log?.driver !== "none";
  const lives = state.status === "running" && choice.stream;
  const left = new AbortController();
  supervisor.attend(container);
  // The log goes on with what is printed from now on: so nothing is missed, and nothing comes twice.
  const logged = replays
    ? replay(logOf(context, supervisor, id, { ...outputs, follow: lives }, left.signal), outputs)
    : undefined;
  if (logged !== undefined && !lives) {
    const close = () => left.abort();
    return { stdin: undefined, ...logged, tty: record.tty, close };
  }
  const pipes = openPipes({
    stdin: choice.stdin && record.openStdin,
    stdout: logged === undefined && outputs.stdout,
    stderr: logged === undefined && outputs.stderr,
  });
  // Before it is joined: it may end at once.
  const ended = supervisor.nextExit(id, left.signal);
  let leaveEarly = () => {};
  if (state.status === "running") {
    try {
      await joinRunning(context, container, pipes);
    } catch (error) {
      left.abort();
      throw error;
    }
  } else {
    const client = {
      choice: pipes.choice,
      descriptors: pipes.descriptors,
      release: () => closeAll(pipes.descriptors),
    };
    supervisor.addEarly(id, client);
    leaveEarly = () => supervisor.removeEarly(id, client);
  }
  context.events.emit("container", "attach", id, attributesOf(record));
  return {
    stdin: pipes.stdin?.stream,
    stdout: logged?.stdout ?? pipes.stdout?.stream,
    stderr: logged?.stderr ?? pipes.stderr?.stream,
    tty: record.tty,
    ended,
    close: () => {
      left.abort();
      leaveEarly();
      for (const pipe of [pipes.stdin, pipes.stdout, pipes.stderr]) pipe?.stream.destroy();
    },
  };
}

function logOf(
  context: DaemonContext,
  supervisor: Supervisor,
  id: string,
  choice: Pick<LogChoice, "stdout" | "stderr" | "follow">,
  gone: AbortSignal,
): AsyncIterable<LogPiece> {
  const end = choice.follow ? { ended: supervisor.nextExit(id, gone) } : undefined;
  const everything = { tail: undefined, since: undefined, until: undefined };
  const path = join(context.store.directoryOf(id), LOG_FILE);
  return readPieces(path, { ...choice, ...everything }, end, gone);
}

function openPipes(choice: ClientChoice): ClientPipes {
  const stdin = choice.stdin ? inputPipe() : undefined;
  const stdout = choice.stdout ? outputPipe() : undefined;
  const stderr = choice.stderr ? outputPipe() : undefined;
  const descriptors = [stdin, stdout, stderr].flatMap((pipe) => pipe?.fd ?? []);
  return { choice, stdin, stdout, stderr, descriptors };
}

async function joinRunning(
  context: DaemonContext,
  container: Container,
  { choice, descriptors }: ClientPipes,
): Promise<void> {
  if (descriptors.length === 0) return;
  try {
    const client = ask(context.store, container, { op: "attach", ...choice }, descriptors);
    const reply = await client.next();
    client.close();
    if (reply?.kind === "error") throw new ApiError("CONFLICT", reply.message);
  } finally {
    closeAll(descriptors);
  }
}
