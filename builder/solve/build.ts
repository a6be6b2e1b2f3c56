import type { ImageBuilder } from "../../sentry/image/image-builder.ts";
import type { Dockerfile } from "../dockerfile/parse.ts";
import type { MetadataContext } from "./metadata.ts";
import type { Progress } from "./progress.ts";
import type { BuildRequest } from "./request.ts";
import type { Sources } from "./sources.ts";
import type { StageState } from "./stage-state.ts";
import type { PlannedStage } from "./stages.ts";
import type { StepCache } from "./step-cache.ts";
import type { Trees } from "./trees.ts";
import type { WorkDirectory } from "./work-directory.ts";

/** One build while it goes on: what its steps share. */
export interface Build {
  readonly request: BuildRequest;
  readonly file: Dockerfile;
  readonly progress: Progress;
  readonly images: ImageBuilder;
  readonly cache: StepCache;
  readonly trees: Trees;
  readonly sources: Sources;
  readonly work: WorkDirectory;
  readonly metadata: MetadataContext;
  /** Host directory of what `RUN --mount=type=cache` keeps. */
  readonly cacheMounts: string;
}

/** A stage while its instructions are done. */
export interface StageRun {
  readonly planned: PlannedStage;
  readonly state: StageState;
  /** The vertex before: what the next one comes after. */
  input: string | undefined;
  /** `[stage 2/5] `, for the next step. */
  nextPrefix(): string;
  readonly useCache: boolean;
}
