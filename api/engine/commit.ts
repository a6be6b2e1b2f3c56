import type { CommitBody } from "../routes/commit.ts";

export interface CommitChoice {
  /** Name, id or beginning of an id. */
  readonly container: string;
  /** Absent: the image gets no name. */
  readonly repository: string | undefined;
  readonly tag: string | undefined;
  readonly comment: string;
  readonly author: string;
  /** Freeze the container meanwhile. */
  readonly pause: boolean;
  /** Dockerfile instructions. */
  readonly changes: readonly string[];
  /** What the image's configuration says on top of the container's. */
  readonly body: CommitBody;
}

/** Images made of containers. */
export interface CommitEngine {
  /** @returns the image's id. */
  commit(choice: CommitChoice, gone: AbortSignal): Promise<{ readonly Id: string }>;
}
