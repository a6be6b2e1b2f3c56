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
  /** Absent: as the exec was made. */
  readonly tty: boolean | undefined;
  readonly consoleSize: ConsoleSize | undefined;
}

export interface ExecsEngine {
  /** @returns its id. */
  create(container: string, config: ExecConfig): Promise<string>;
  /**
   * Starts it. The exit code is there to be asked for before the streams end.
   * @returns undefined when it is detached.
   */
  start(id: string, choice: ExecStart): Promise<ProcessStreams | undefined>;
  detachKeysOf(id: string): string | undefined;
  resize(id: string, size: ConsoleSize): Promise<void>;
  inspect(id: string): Promise<JsonObject>;
}
