import type { SourceRange } from "../errors.ts";
import type { Heredoc } from "./heredoc.ts";
import type { Pair } from "./words.ts";

export interface Base {
  /** The instruction as written, its continuation lines joined. */
  readonly original: string;
  readonly range: SourceRange;
  /** Lines of comment right before it. */
  readonly comments: readonly string[];
}

/** A command line: words to execute, or text for the shell. */
export interface CommandLine {
  readonly words: readonly string[];
  /** Written as text: the stage's SHELL goes before it. */
  readonly shell: boolean;
}

export interface From extends Base {
  readonly kind: "FROM";
  readonly base: string;
  /** Lower case; undefined: it has only its number. */
  readonly name: string | undefined;
  readonly platform: string | undefined;
}

export interface Run extends Base {
  readonly kind: "RUN";
  readonly command: CommandLine;
  readonly heredocs: readonly Heredoc[];
  /** Values of `--mount`, unexpanded. */
  readonly mounts: readonly string[];
  readonly network: "default" | "none" | "host";
  readonly security: "sandbox" | "insecure";
}

export interface CopyOrAdd extends Base {
  readonly kind: "COPY" | "ADD";
  readonly sources: readonly string[];
  /** Here-documents among the sources. */
  readonly contents: readonly Heredoc[];
  readonly destination: string;
  /** Of COPY. */
  readonly from: string | undefined;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  /** Of ADD. */
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean;
  readonly unpack: boolean | undefined;
}

export interface HealthCheck {
  readonly Test: readonly string[];
  /** Nanoseconds. */
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

export type Instruction =
  | From
  | Run
  | CopyOrAdd
  | (Base & { readonly kind: "ENV" | "LABEL"; readonly pairs: readonly Pair[] })
  | (Base & {
      readonly kind: "ARG";
      readonly args: readonly { readonly key: string; readonly value: string | undefined }[];
    })
  | (Base & { readonly kind: "CMD" | "ENTRYPOINT"; readonly command: CommandLine })
  | (Base & { readonly kind: "SHELL"; readonly words: readonly string[] })
  | (Base & {
      readonly kind: "WORKDIR" | "USER" | "STOPSIGNAL" | "MAINTAINER";
      readonly value: string;
    })
  | (Base & { readonly kind: "EXPOSE" | "VOLUME"; readonly values: readonly string[] })
  | (Base & { readonly kind: "HEALTHCHECK"; readonly check: HealthCheck })
  | (Base & { readonly kind: "ONBUILD"; readonly trigger: string });

export type Kind = Instruction["kind"];

/** What is between one FROM and the next. */
export interface Stage {
  readonly from: From;
  readonly instructions: readonly Exclude<Instruction, From>[];
}
