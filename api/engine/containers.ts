import type { Filters } from "../filters.ts";
import type { CreateBody, UpdateBody } from "../routes/container-bodies.ts";
import type { ProcessStreams } from "../row.ts";
import type { ConsoleSize } from "./execs.ts";
import type { JsonObject } from "./json.ts";

export interface ListChoice {
  readonly all: boolean;
  /** Undefined: no limit. */
  readonly limit: number | undefined;
  readonly size: boolean;
  /** Also annotations, which older clients do not expect. */
  readonly annotations: boolean;
  readonly filters: Filters;
}

export interface CreateChoice {
  readonly name: string | undefined;
  readonly platform: string | undefined;
  readonly body: CreateBody;
}

export interface LogChoice {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  /** Undefined: all. */
  readonly tail: number | undefined;
  /** Milliseconds since the epoch, with a fraction. */
  readonly since: number | undefined;
  readonly until: number | undefined;
}

/** A piece of a log. */
export interface LogPiece {
  readonly stream: "stdout" | "stderr";
  /** RFC 3339 with nanoseconds. */
  readonly time: string;
  readonly bytes: Uint8Array;
  /** `key=value,...` of the log options, for `details`. */
  readonly details: string;
}

export interface AttachChoice {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Replay what was printed before. */
  readonly logs: boolean;
  /** Go on with what is printed from now on. */
  readonly stream: boolean;
}

export type WaitCondition = "not-running" | "next-exit" | "removed";

/** Containers. `reference` is a name, an id or the beginning of an id. */
export interface ContainersEngine {
  list(choice: ListChoice): Promise<readonly JsonObject[]>;
  create(choice: CreateChoice): Promise<{ readonly Id: string; readonly Warnings: string[] }>;
  inspect(reference: string, size: boolean): Promise<JsonObject>;
  /** @returns false when it runs already. */
  start(reference: string): Promise<boolean>;
  /** @returns false when it did not run. */
  stop(
    reference: string,
    signal: string | undefined,
    timeoutSeconds: number | undefined,
  ): Promise<boolean>;
  restart(
    reference: string,
    signal: string | undefined,
    timeoutSeconds: number | undefined,
  ): Promise<void>;
  kill(reference: string, signal: string | undefined): Promise<void>;
  pause(reference: string): Promise<void>;
  unpause(reference: string): Promise<void>;
  rename(reference: string, name: string): Promise<void>;
  update(reference: string, body: UpdateBody): Promise<JsonObject>;
  remove(
    reference: string,
    choice: { readonly force: boolean; readonly volumes: boolean; readonly link: boolean },
  ): Promise<void>;
  prune(filters: Filters): Promise<JsonObject>;
  /**
   * Waits for an end.
   * @returns once it is certain that the end will be seen; the promise inside settles with it.
   */
  wait(
    reference: string,
    condition: WaitCondition,
    gone: AbortSignal,
  ): Promise<{ readonly ended: Promise<JsonObject> }>;
  resize(reference: string, size: ConsoleSize): Promise<void>;
  top(reference: string, psArgs: string): Promise<JsonObject>;
  stats(
    reference: string,
    choice: { readonly stream: boolean; readonly oneShot: boolean },
    gone: AbortSignal,
  ): Promise<AsyncIterable<JsonObject>>;
  /** Makes sure that it can be attached to. @returns what joins the streams. */
  attach(
    reference: string,
    choice: AttachChoice,
  ): Promise<{ readonly tty: boolean; begin(): Promise<ProcessStreams> }>;
  /** @returns whether the container has a terminal, and its log. */
  logs(
    reference: string,
    choice: LogChoice,
    gone: AbortSignal,
  ): Promise<{ readonly tty: boolean; readonly pieces: AsyncIterable<LogPiece> }>;
}
