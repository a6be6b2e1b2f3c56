import { spawnSync } from "node:child_process";
import { type Errno, errnoOf } from "../sentry/abi/errno.ts";
import { LAYERS, type Layer } from "./layers.ts";

/** What the doctor found out about one layer, by trying it. */
export interface LayerReport {
  readonly layer: Layer;
  readonly ok: boolean;
  /** Why it failed, exactly; absent when it works. */
  readonly errno?: Errno;
  /** What failed, or which version works; may be empty. */
  readonly detail: string;
}

/** The probe program did not run, or printed what it does not print. */
export class ProbeFailed extends Error {
  readonly code = "DD_PROBE_FAILED";
}

const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES_MAX = 64 * 1024;

/**
 * Tries every layer on this system, live, in processes of their own. Takes some tens of milliseconds.
 * @param program the path of `dd-probe` (`build/Release/dd-probe`); Linux only.
 * @throws ProbeFailed
 */
export function probeLayers(program: string): readonly LayerReport[] {
  const { error, status, stdout } = spawnSync(program, [], {
    encoding: "utf8",
    env: {},
    timeout: TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    stdio: ["ignore", "pipe", "ignore"],
  });
  if (error !== undefined) throw new ProbeFailed(`Cannot run ${program}: ${error.message}`);
  if (status !== 0) throw new ProbeFailed(`${program} ended with status ${status}`);
  return readProbe(stdout);
}

/** Reads the program's output. @throws ProbeFailed when a layer is missing or unknown. */
export function readProbe(output: string): readonly LayerReport[] {
  const results = new Map<string, { errno: number; detail: string }>();
  for (const line of output.split("\n").filter((text) => text !== "")) {
    const { layer, errno, detail } = parseLine(line);
    results.set(layer, { errno, detail });
  }
  if (results.size !== LAYERS.length) throw new ProbeFailed("The probe and dd do not fit together");
  return LAYERS.map((layer) => {
    const result = results.get(layer.name);
    if (result === undefined) throw new ProbeFailed(`The probe said nothing of ${layer.name}`);
    const { errno, detail } = result;
    return errno === 0
      ? { layer, ok: true, detail }
      : { layer, ok: false, errno: errnoOf(errno), detail };
  });
}

function parseLine(line: string): { layer: string; errno: number; detail: string } {
  const value: unknown = JSON.parse(line);
  if (
    typeof value === "object" &&
    value !== null &&
    "layer" in value &&
    "errno" in value &&
    "detail" in value
  ) {
    const { layer, errno, detail } = value;
    if (typeof layer === "string" && typeof errno === "number" && typeof detail === "string") {
      return { layer, errno, detail };
    }
  }
  throw new ProbeFailed(`The probe printed ${line}`);
}

/** The layers without which an untrusted start would be refused: empty when it will work. */
export function missingForUntrusted(reports: readonly LayerReport[]): readonly LayerReport[] {
  return reports.filter(
    ({ ok, layer }) => !ok && (layer.need === "untrusted" || layer.need === "always"),
  );
}

/** A report in one line: `landlock: ok (ABI 7)`, or the exact reason and how to get it. */
export function describeLayer({ layer, ok, errno, detail }: LayerReport): string {
  if (ok) return `${layer.title}: ok${detail === "" ? "" : ` (${detail})`}`;
  return `${layer.title}: missing: ${detail}: ${errno?.text ?? "unknown error"}. ${layer.remedy}`;
}
