import type { ProcessStreams } from "../row.ts";
import type { JsonObject } from "./json.ts";

/** What a further process of a container is to be; see `POST /containers/{id}/exec`. */
export interface ExecConfig {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly user: string | undefined;
  readonly workdir: string | undefined;
  readonly tty: boolean;
  readonly privileged: boolean;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
  readonly detachKeys: string | undefined;
  readonly consoleSize: ConsoleSize | undefined;
}

export interface ConsoleSize {
  readonly rows: number;
  readonly cols: number;
}

export interface ExecStart {
  readonly detach: boolean;
  /** The client expects bytes without frames; absent: it does not, whatever the exec was made with. */
  readonly tty: boolean | undefined;
  readonly consoleSize: ConsoleSize | undefined;
}

export interface PreparedExec {
  readonly tty: boolean;
  readonly detachKeys: string | undefined;
  /** Starts it. @returns undefined when it is detached. */
  start(): Promise<ProcessStreams | undefined>;
}

export interface ExecsEngine {
  /** @returns its id. */
  create(container: string, config: ExecConfig): Promise<string>;
  /**
   * Makes sure that it can be started; nothing has happened yet.
   * @returns what starts it. The exit code is there to be asked for before the streams end.
   */
  prepare(id: string, choice: ExecStart): PreparedExec;
  resize(id: string, size: ConsoleSize): Promise<void>;
  inspect(id: string): Promise<JsonObject>;
}
