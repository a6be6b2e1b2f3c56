import { ApiError } from "../../api/errors.ts";
import type { HostConfigBody } from "../../api/routes/container-bodies.ts";
import type { LimitsSpec, UlimitName } from "../../sentry/spec.ts";

const MEMORY_BYTES_MIN = 6 * 1024 * 1024;
const ULIMITS: ReadonlySet<string> = new Set<UlimitName>([
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
]);

/** What a container may use. @param warnings gets what is asked for and not enforced. */
export function limitsOf(
  { Memory, PidsLimit, Ulimits }: HostConfigBody,
  _warnings: string[],
): LimitsSpec {
  if (Memory != null && Memory !== 0 && Memory < MEMORY_BYTES_MIN) {
    throw new ApiError("INVALID", "Minimum memory limit allowed is 6MB");
  }
  return {
    ...(Memory != null && Memory > 0 ? { memoryBytes: Memory } : {}),
    ...(PidsLimit != null && PidsLimit > 0 ? { pids: PidsLimit } : {}),
    ulimits: (Ulimits ?? []).map(({ Name, Soft, Hard }) => {
      if (!isUlimit(Name)) throw new ApiError("INVALID", `invalid ulimit type: ${Name ?? ""}`);
      return { name: Name, soft: Soft ?? 0, hard: Hard ?? 0 };
    }),
  };
}

function isUlimit(name: string | null | undefined): name is UlimitName {
  return ULIMITS.has(name ?? "");
}
