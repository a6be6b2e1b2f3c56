import type { Isa } from "../../sentry/abi/numbers.ts";
import type { StoredImage } from "../../sentry/image/image-store.ts";
import type { Platform } from "../../sentry/image/platform.ts";
import type { LimitsSpec, MountSpec } from "../../sentry/spec.ts";
import type { PathMatcher } from "../dockerfile/ignore.ts";
import type { Instruction } from "../dockerfile/instruction.ts";
import type { Violation } from "../lint/lint.ts";
import type { VertexReport } from "./progress.ts";
import type { StageState } from "./stage-state.ts";

/** Files from outside of the build: the context, a named context, what ADD fetches. */
export interface FileSource {
  /**
   * Brings the files in as one layer in host directory `directory`, which does not exist yet. Everything belongs
   * to root.
   * @param needed the paths that will be looked at, `undefined` for all: others may be left out
   */
  load(
    directory: string,
    needed: readonly string[] | undefined,
    report: VertexReport,
    signal: AbortSignal,
  ): Promise<void>;
}

/** Something that `FROM`, `COPY --from` and mounts can name beside stages. */
export type NamedContext =
  | { readonly kind: "image"; readonly reference: string }
  | { readonly kind: "files"; readonly source: FileSource }
  /** What another build has made. */
  | { readonly kind: "built"; readonly state: StageState };

/** Gives what a step may be told and an image must not keep. */
export interface SecretSource {
  /** The secret's bytes, or undefined where nobody gave one of that id. */
  secret(id: string): Promise<Uint8Array | undefined>;
  /** A host path of a socket of an SSH agent, for the life of `signal`; undefined where there is none. */
  agentSocket(id: string, signal: AbortSignal): Promise<string | undefined>;
}

/** Finds images in the store, or pulls them. */
export interface ImageSource {
  /** @throws {Error} in docker's words when there is no such image for the platform. */
  resolve(
    reference: string,
    platform: Platform,
    report: VertexReport,
    signal: AbortSignal,
  ): Promise<StoredImage>;
}

/** A command to run in a container of its own, on a fresh writable layer. */
export interface StepSpec {
  readonly isa: Isa;
  /** Host directories of the layers it sees, bottom to top; at least one. */
  readonly layers: readonly string[];
  readonly mounts: readonly MountSpec[];
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly hostname: string;
  /** Docker's NetworkMode: `default`, `none`, `host`, a network's name or id, `container:NAME`. */
  readonly network: string;
  readonly extraHosts: readonly string[];
  readonly shmBytes: number | undefined;
  readonly limits: LimitsSpec;
  readonly output: (stream: 1 | 2, bytes: Uint8Array) => void;
  /** Told the id of the container, as 64 hexadecimal digits, before it starts. */
  readonly started: (id: string) => void;
  readonly signal: AbortSignal;
}

/** How a step's command ended. */
export type StepEnd =
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly exitCode: number; readonly message: string | undefined };

/** Runs steps. The composition root says how. */
export interface StepRunner {
  /**
   * @param keep is given the archive of what the step has changed, when it ended with 0, and must read it
   */
  run(
    step: StepSpec,
    keep: (changes: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<StepEnd>;
}

/** Follows the instructions one by one, as the classic builder's clients do. */
export interface InstructionListener {
  begin(instruction: Instruction, index: number, total: number): void;
  usingCache(): void;
  /** Instructions of the image that a stage stands on come next; they are not told of one by one. */
  triggers(count: number): void;
  running(id: string): void;
  /** @param id what the image's id would be if it ended here */
  end(id: string): void;
  log(stream: 1 | 2, bytes: Uint8Array): void;
}

/** What to build. */
export interface BuildRequest {
  readonly dockerfile: Uint8Array;
  /** What it is called in messages. */
  readonly dockerfileName: string;
  readonly context: FileSource;
  readonly contexts: ReadonlyMap<string, NamedContext>;
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly platform: Platform | undefined;
  /** The same is built for other platforms, too: steps are told by their platforms. */
  readonly isOneOfSeveral?: boolean;
  /** Of the steps whose instruction says nothing of its own: as {@link StepSpec.network}. */
  readonly network: string;
  /** No result of an earlier build is used: of any stage, or of these. */
  readonly noCache: boolean | readonly string[];
  readonly extraHosts: readonly string[];
  readonly shmBytes: number | undefined;
  /** Of the steps' containers. */
  readonly limits: LimitsSpec;
  /** What the steps' containers are called inside. */
  readonly hostname: string | undefined;
  /** RFC 3339: when everything in the image is to have been done. */
  readonly epoch?: string | undefined;
  /** Rights that the user has given to the build: `network.host`. */
  readonly entitlements: ReadonlySet<string>;
  readonly secrets: SecretSource;
  readonly images: ImageSource;
  readonly steps: StepRunner;
  /** Told of what is odd about the Dockerfile, before anything is done. */
  readonly violations?: {
    /** The patterns of the context's `.dockerignore`, where they are known. */
    readonly ignore: PathMatcher | undefined;
    readonly tell: (found: readonly Violation[]) => void;
  };
  /** One stage and one instruction after the other, and told so. */
  readonly instructions?: InstructionListener | undefined;
  readonly signal: AbortSignal;
}
