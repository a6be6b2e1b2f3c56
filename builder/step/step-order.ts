import type { Directories } from "../../sentry/container/directories.ts";
import type { ProcessConfig } from "../../sentry/container/record.ts";
import type { ContainerSpec } from "../../sentry/spec.ts";

/** What a step's process is told, as JSON on its standard input. The input's end is its builder's end. */
export interface StepOrder {
  readonly spec: ContainerSpec;
  readonly process: ProcessConfig;
  /** Absent for a step that meets no containers. */
  readonly networking?: {
    readonly directories: Directories;
    /** Host directory where its networks are written down; see `container-networks.ts`. */
    readonly directory: string;
    /** What the others there call it. */
    readonly name: string;
  };
}

/** What it tells on descriptor {@link REPORT_FD}, as a line of JSON; the archive of the changes follows `done`. */
export type StepReport =
  | { readonly kind: "done" }
  /** There is no way to begin. */
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "failed"; readonly exitCode: number; readonly message?: string };

export const REPORT_FD = 3;
/** Bytes of an order, and of a report's line. */
export const ORDER_BYTES_MAX = 16 << 20;
export const REPORT_BYTES_MAX = 1 << 20;
