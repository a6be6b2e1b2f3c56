import { ApiError } from "../../api/errors.ts";
import type { HealthBody } from "../../api/routes/container-bodies.ts";
import { healthArgv } from "../../sentry/container/health.ts";
import type { HealthCheck } from "../../sentry/container/record.ts";
import { wordsOf } from "./words.ts";

const NS_PER_MS = 1_000_000;
const INTERVAL_MS = 30_000;
const TIMEOUT_MS = 30_000;
const START_INTERVAL_MS = 5_000;
const RETRIES = 3;
const DURATIONS = ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const;
const SHELL = ["/bin/sh", "-c"];

/** The check of an image, in docker's words, as its configuration has it. */
export function imageHealth(configBytes: Uint8Array): HealthBody | undefined {
  const { config } = JSON.parse(Buffer.from(configBytes).toString("utf8")) as {
    config?: { Healthcheck?: unknown } | null;
  };
  const health = config?.Healthcheck;
  if (typeof health !== "object" || health === null) return undefined;
  const { Test, ...durations } = health as Record<string, unknown>;
  const words = Array.isArray(Test) && Test.every((word) => typeof word === "string") ? Test : [];
  const numbers = Object.entries(durations).filter(([, value]) => Number.isSafeInteger(value));
  return { Test: words, ...(Object.fromEntries(numbers) as Record<string, number>) };
}

/**
 * What a container is asked, the request's own check on top of its image's.
 * @returns the merged check in docker's words, and what it means; both undefined where there is none.
 * @throws {ApiError} in docker's words.
 */
export function healthCheck(
  own: HealthBody | null | undefined,
  image: HealthBody | undefined,
  shell: readonly string[] | undefined,
): { readonly shown: HealthBody | undefined; readonly check: HealthCheck | undefined } {
  for (const name of DURATIONS) {
    const value = own?.[name] ?? 0;
    if (value !== 0 && value < NS_PER_MS) {
      throw new ApiError("INVALID", `${name} in Healthcheck cannot be less than 1ms`);
    }
  }
  if ((own?.Retries ?? 0) < 0) {
    throw new ApiError("INVALID", "Retries in Healthcheck cannot be negative");
  }
  const test = [own, image].map((each) => wordsOf(each?.Test)).find((words) => words?.length);
  const number = (name: (typeof DURATIONS)[number] | "Retries") =>
    own?.[name] || image?.[name] || 0;
  const ms = (name: (typeof DURATIONS)[number], fallback: number) =>
    number(name) === 0 ? fallback : Math.ceil(number(name) / NS_PER_MS);
  const shown = own ?? image;
  const argv = healthArgv(test ?? [], shell ?? SHELL);
  if (argv === undefined) return { shown, check: undefined };
  return {
    shown: {
      Test: test ?? [],
      ...Object.fromEntries(
        [...DURATIONS, "Retries" as const]
          .filter((name) => number(name) !== 0)
          .map((name) => [name, number(name)]),
      ),
    },
    check: {
      argv,
      intervalMs: ms("Interval", INTERVAL_MS),
      timeoutMs: ms("Timeout", TIMEOUT_MS),
      retries: number("Retries") || RETRIES,
      startPeriodMs: ms("StartPeriod", 0),
      startIntervalMs: ms("StartInterval", START_INTERVAL_MS),
    },
  };
}
