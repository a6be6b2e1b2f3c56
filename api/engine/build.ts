import type { Duplex, Readable } from "node:stream";
import type { Filters } from "../filters.ts";
import type { JsonObject } from "./json.ts";

/** What `POST /build` asks for. */
export interface BuildChoice {
  /** The context, or a Dockerfile alone. */
  readonly upload: Readable;
  /** A URL to take the context from, `client-session`, or empty. */
  readonly remote: string;
  readonly dockerfile: string;
  readonly names: readonly string[];
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** Build arguments that were named, and have no value. */
  readonly unsetArgs: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  readonly platform: string | undefined;
  readonly networkMode: string;
  readonly extraHosts: readonly string[];
  readonly shmBytes: number | undefined;
  /** Limits of RUN's containers, as in a container's HostConfig. */
  readonly limits: {
    readonly Memory: number;
    readonly CpuPeriod: number;
    readonly CpuQuota: number;
    readonly CpusetCpus: string;
    readonly Ulimits: readonly {
      readonly Name?: string;
      readonly Soft?: number;
      readonly Hard?: number;
    }[];
  };
  readonly noCache: boolean;
  /** Images that steps may be taken from; none: from all there are. */
  readonly cacheFrom: readonly string[];
  readonly pull: boolean;
  readonly quiet: boolean;
  /** By BuildKit: its progress is told as its own messages. */
  readonly buildkit: boolean;
  /** Of the client, for BuildKit. */
  readonly session: string;
  /** By which it can be cancelled. */
  readonly buildId: string;
  /** The header `X-Registry-Config`, as it came. */
  readonly registryConfig: string | undefined;
}

/** Builds, by the classic builder and by BuildKit. */
export interface BuildEngine {
  /** Docker's `jsonmessage`s. */
  build(choice: BuildChoice, gone: AbortSignal): AsyncIterable<JsonObject>;
  cancel(buildId: string): void;
  prune(choice: {
    readonly all: boolean;
    readonly keepBytes: number | undefined;
    readonly filters: Filters;
  }): Promise<JsonObject>;
  /** The records of the build cache, for `/system/df`. */
  usage(): Promise<readonly JsonObject[]>;
  /** Speaks BuildKit's gRPC with the client. */
  serve(connection: Duplex): void;
  /** Takes a client's session, over which the engine calls the client. */
  openSession(id: string, connection: Duplex): void;
}
