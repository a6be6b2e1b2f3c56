import { ApiError } from "../../api/errors.ts";
import type { HostConfigBody } from "../../api/routes/container-bodies.ts";
import type { Mode } from "../../sentry/spec.ts";

/** Names a client may give a runtime. Clients of other engines ask for theirs by name. */
const RUNTIMES: Readonly<Record<string, Mode | "default">> = {
  "": "default",
  trusted: "trusted",
  untrusted: "untrusted",
  runc: "default",
  "io.containerd.runc.v2": "default",
};
/** The docker CLI takes no option without a value, so the word has forms with one. */
const UNTRUSTED_OPTIONS = new Set([
  "untrusted",
  "untrusted=true",
  "untrusted:true",
  "dd=untrusted",
]);

/**
 * In which mode a container runs.
 * @throws {ApiError} for a runtime nobody knows.
 */
export function modeOf({ Runtime, SecurityOpt }: HostConfigBody, fallback: Mode): Mode {
  const runtime = Runtime ?? "";
  const named = Object.hasOwn(RUNTIMES, runtime) ? RUNTIMES[runtime] : undefined;
  if (named === undefined) {
    throw new ApiError("INVALID", `unknown or invalid runtime name: ${runtime}`);
  }
  if (named === "untrusted") return named;
  const wished = SecurityOpt?.some((option) => UNTRUSTED_OPTIONS.has(option)) ?? false;
  // Two wishes that do not agree: the one with a boundary counts.
  if (wished) return "untrusted";
  return named === "default" ? fallback : named;
}
