import type { ByteString } from "../abi/bytes.ts";
import type { ContainerSpec } from "../spec.ts";
import type { LogSpec } from "./log-options.ts";
import type { FailureReason } from "./process-spec.ts";

/** What a container is to run, before its user is looked up in its own /etc/passwd. */
export interface ProcessConfig {
  readonly argv: readonly ByteString[];
  /** `NAME=value`; HOME is added when missing. */
  readonly env: readonly ByteString[];
  readonly cwd: ByteString;
  /** `user`, `uid`, `user:group`...; empty: root. */
  readonly user: string;
  /** Further groups, by name or number. */
  readonly groupAdd?: readonly string[];
  /** Its root has every capability, whatever the container's has. */
  readonly privileged?: boolean;
}

/** What never changes about a container: `container.json`. */
export interface ContainerRecord {
  /** Format of this file. */
  readonly version: 1;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** The image as the user named it. */
  readonly imageName: string;
  /** What the sentry is started with, whose `id` is the container's. */
  readonly spec: ContainerSpec;
  readonly process: ProcessConfig;
  readonly tty: boolean;
  readonly openStdin: boolean;
  /** The end of a client's input is the end of the container's. */
  readonly stdinOnce?: boolean;
  readonly autoRemove: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly stopSignal: number;
  readonly stopTimeoutSeconds: number;
  /** Volumes made for this container alone, removed by `rm -v` and `--rm`. */
  readonly anonymousVolumes: readonly string[];
  /** Absent: docker's json-file without options. */
  readonly log?: LogSpec;
  /** Absent: it is never started again by itself. */
  readonly restart?: RestartPolicy;
  /** Absent: nobody asks whether it is well. */
  readonly health?: HealthCheck;
  /** What the Engine API was asked for, kept to be shown as it was. */
  readonly engine?: EngineRecord;
}

/** See `docker run --restart`. The daemon carries it out. */
export interface RestartPolicy {
  readonly name: "always" | "unless-stopped" | "on-failure";
  /** Of `on-failure`; 0: no limit. */
  readonly maximumRetryCount: number;
}

/** See HEALTHCHECK in the Dockerfile reference. */
export interface HealthCheck {
  readonly argv: readonly ByteString[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures that make it unhealthy. */
  readonly retries: number;
  /** Failures do not count before. */
  readonly startPeriodMs: number;
  /** The interval until then. */
  readonly startIntervalMs: number;
}

/** Parts of the body of `POST /containers/create`, in docker's words. */
export interface EngineRecord {
  readonly config: Readonly<Record<string, unknown>>;
  readonly hostConfig: Readonly<Record<string, unknown>>;
  readonly networking: Readonly<Record<string, unknown>>;
}

/** What changes: `state.json`, written only by who holds the container's lock. */
export type ContainerState =
  | { readonly status: "created" }
  | {
      readonly status: "running";
      /** Of the sentry, on the host. */
      readonly pid: number;
      readonly startedAt: number;
      /** Its output goes to its log. */
      readonly logged: boolean;
      /** Its processes are frozen. */
      readonly paused?: boolean;
      /** How often its restart policy has started it again. */
      readonly restartCount?: number;
    }
  | {
      readonly status: "exited";
      /** 0 when it never started. */
      readonly startedAt: number;
      readonly finishedAt: number;
      readonly exitCode: number;
      readonly signal?: number;
      /** Memory ran out under its limit: docker's `OOMKilled`. */
      readonly oomKilled?: boolean;
      /** Why it ended when its own process did not decide that. */
      readonly error?: string;
      /** What of its command was at fault when it could not be started. */
      readonly reason?: FailureReason;
      /** Somebody asked for its end: no restart policy but `always` starts it again. */
      readonly stopped?: boolean;
      readonly restartCount?: number;
    };

export interface Container {
  readonly record: ContainerRecord;
  readonly state: ContainerState;
}
