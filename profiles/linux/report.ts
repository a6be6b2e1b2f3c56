import { type Errno, errnoOf } from "../../sentry/abi/errno.ts";
import { STEPS, type StepName } from "./steps.ts";

/** What the launcher tells the sentry over the control socket: one message each, in this order. */
export const REPORT_KINDS = ["failed", "prepared", "started", "listening"] as const;
export type ReportKind = (typeof REPORT_KINDS)[number];

/** `struct Report` of `guest/confine/report.h`: four 32-bit words. */
export const REPORT_SIZE = 16;

/**
 * - `prepared`: with descriptors of the user and the mount namespace;
 * - `started`: with the host pid of the launcher, which is now a child of the sentry's;
 * - `listening`: with the seccomp listener; the launcher is confined;
 * - `failed`: the step and the error.
 */
export type Report =
  | { readonly kind: "prepared" | "listening" }
  | { readonly kind: "started"; readonly pid: number }
  | { readonly kind: "failed"; readonly step: StepName; readonly errno: Errno };

/** @returns undefined when the bytes are no report: the launcher is then not to be trusted. */
export function decodeReport(bytes: Uint8Array): Report | undefined {
  if (bytes.length !== REPORT_SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const kind = REPORT_KINDS[view.getUint32(0, true)];
  const step = STEPS[view.getUint32(4, true)];
  const errno = view.getInt32(8, true);
  const pid = view.getInt32(12, true);
  switch (kind) {
    case "prepared":
    case "listening":
      return { kind };
    case "started":
      return pid > 1 ? { kind, pid } : undefined;
    case "failed":
      if (step === undefined || errno <= 0 || errno > 4095) return undefined;
      return { kind, step: step.name, errno: errnoOf(errno) };
    default:
      return undefined;
  }
}

/** Untrusted start was refused because a mechanism is missing: exact step, error and way out. */
export class ConfinementRefused extends Error {
  readonly code = "DD_CONFINEMENT_REFUSED";
  readonly step: StepName;
  readonly errno: Errno;

  /** @param detail what exactly the step was doing, where the step alone does not say. */
  constructor(step: StepName, errno: Errno, detail = "") {
    const entry = STEPS.find(({ name }) => name === step);
    const remedy = entry === undefined || entry.remedy === "" ? "" : `. ${entry.remedy}`;
    const doing = detail === "" ? "" : ` (${detail})`;
    super(`Untrusted start refused: ${entry?.what ?? step}${doing} failed: ${errno.text}${remedy}`);
    this.name = "ConfinementRefused";
    this.step = step;
    this.errno = errno;
  }
}
