import type { LimitsSpec, UlimitName } from "../sentry/spec.ts";
import { usageError } from "./errors.ts";
import { parseBytes, parseCount } from "./sizes.ts";

/** Docker's least memory. */
const MEMORY_BYTES_MIN = 6 * 2 ** 20;
const PIDS_MAX = 2 ** 22;

const ULIMITS: Readonly<Record<UlimitName, true>> = {
  core: true,
  cpu: true,
  data: true,
  fsize: true,
  locks: true,
  memlock: true,
  msgqueue: true,
  nice: true,
  nofile: true,
  nproc: true,
  rss: true,
  rtprio: true,
  rttime: true,
  sigpending: true,
  stack: true,
};

/** `-m`, `--pids-limit` and `--ulimit`. @throws {CliError} `USAGE` in docker's words. */
export function parseLimits(
  memory: string | undefined,
  pids: string | undefined,
  ulimits: readonly string[],
): LimitsSpec {
  const memoryBytes = memory === undefined ? 0 : parseBytes(memory, "--memory");
  if (memoryBytes > 0 && memoryBytes < MEMORY_BYTES_MIN) {
    throw usageError("Minimum memory limit allowed is 6MB");
  }
  const pidsMax = pids === undefined ? 0 : parseCount(pids, "--pids-limit", -1, PIDS_MAX);
  return {
    ...(memoryBytes > 0 ? { memoryBytes } : {}),
    ...(pidsMax > 0 ? { pids: pidsMax } : {}),
    ulimits: ulimits.map(parseUlimit),
  };
}

function parseUlimit(text: string): LimitsSpec["ulimits"][number] {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  if (match === null)
    throw usageError(`invalid ulimit argument: ${text}`, "Example: nofile=1024:2048");
  const [, name = "", softText = "", hardText = softText] = match;
  if (!isUlimit(name)) {
    throw usageError(`invalid ulimit type: ${name}`, `Types: ${Object.keys(ULIMITS).join(", ")}`);
  }
  const soft = parseCount(softText, `ulimit ${name}`, -1, Number.MAX_SAFE_INTEGER);
  const hard = parseCount(hardText, `ulimit ${name}`, -1, Number.MAX_SAFE_INTEGER);
  const above = hard !== -1 && (soft === -1 || soft > hard);
  if (above) {
    throw usageError(
      `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`,
    );
  }
  return { name, soft, hard };
}

function isUlimit(name: string): name is UlimitName {
  return Object.hasOwn(ULIMITS, name);
}
