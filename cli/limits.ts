import { availableParallelism } from "node:os";
import { isUlimit, ULIMIT_NAMES } from "../sentry/container/ulimit-name.ts";
import type { LimitsSpec } from "../sentry/spec.ts";
import { usageError } from "./errors.ts";
import { parseBytes, parseCount } from "./sizes.ts";

/** Docker's least memory. */
const MEMORY_BYTES_MIN = 6 * 2 ** 20;
/** Docker's least share of a CPU. */
const CPUS_MIN = 0.01;
const PIDS_MAX = 2 ** 22;

/** What the user may limit, as he has typed it. */
export interface LimitTexts {
  readonly memory: string | undefined;
  readonly "pids-limit": string | undefined;
  readonly cpus: string | undefined;
  readonly "cpuset-cpus"?: string | undefined;
  readonly ulimit?: readonly string[];
}

/** `-m`, `--pids-limit`, `--cpus` and the like. @throws {CliError} `USAGE` in docker's words. */
export function parseLimits(texts: LimitTexts): LimitsSpec {
  const { memory, "pids-limit": pids, cpus, "cpuset-cpus": cpuset, ulimit: ulimits = [] } = texts;
  const memoryBytes = memory === undefined ? 0 : parseBytes(memory, "--memory");
  if (memoryBytes > 0 && memoryBytes < MEMORY_BYTES_MIN) {
    throw usageError("Minimum memory limit allowed is 6MB");
  }
  const pidsMax = pids === undefined ? 0 : parseCount(pids, "--pids-limit", -1, PIDS_MAX);
  return {
    ...(memoryBytes > 0 ? { memoryBytes } : {}),
    ...(pidsMax > 0 ? { pids: pidsMax } : {}),
    ...(cpus === undefined ? {} : { cpus: parseCpus(cpus) }),
    ...(cpuset === undefined ? {} : { cpuset: parseCpuset(cpuset) }),
    ulimits: ulimits.map(parseUlimit),
  };
}

function parseCpus(text: string): number {
  const present = availableParallelism();
  const cpus = /^\d{0,4}(?:\.\d{1,9})?$/.test(text) ? Number(text) : 0;
  if (cpus >= CPUS_MIN && cpus <= present) return cpus;
  throw usageError(
    `range of CPUs is from ${CPUS_MIN} to ${present}.00, as there are only ${present} CPUs available`,
  );
}

function parseCpuset(text: string): readonly number[] {
  const cpus = text.split(",").flatMap((part) => {
    const [, first = "", last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part) ?? [];
    if (first === "" || Number(last) < Number(first)) {
      throw usageError(`invalid value "${text}" for --cpuset-cpus`, "Example: 0-2,4");
    }
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i);
  });
  if (cpus.every((cpu) => cpu < availableParallelism())) return cpus;
  throw usageError(
    `Requested CPUs are not available - requested ${text}, ` +
      `available: 0-${availableParallelism() - 1}`,
  );
}

function parseUlimit(text: string): LimitsSpec["ulimits"][number] {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  if (match === null)
    throw usageError(`invalid ulimit argument: ${text}`, "Example: nofile=1024:2048");
  const [, name = "", softText = "", hardText = softText] = match;
  if (!isUlimit(name)) {
    throw usageError(`invalid ulimit type: ${name}`, `Types: ${ULIMIT_NAMES.join(", ")}`);
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
