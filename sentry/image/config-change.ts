import { ImageError } from "./errors.ts";
import type { ContainerConfig } from "./image-document.ts";

type Change = (config: ContainerConfig, rest: string) => ContainerConfig;

/** The Dockerfile instructions that `--change` knows. See docker-image-import(1), docker-container-commit(1). */
const CHANGES: Readonly<Record<string, Change>> = {
  CMD: (config, rest) => ({ ...config, Cmd: command(rest) }),
  ENTRYPOINT: (config, rest) => ({ ...config, Entrypoint: command(rest) }),
  ENV: (config, rest) => ({ ...config, Env: merge(config.Env ?? [], pairs(rest)) }),
  EXPOSE: (config, rest) => ({ ...config, ExposedPorts: union(config.ExposedPorts, ports(rest)) }),
  HEALTHCHECK: (config, rest) => ({ ...config, Healthcheck: healthcheck(rest) }),
  LABEL: (config, rest) => ({ ...config, Labels: { ...config.Labels, ...labels(rest) } }),
  ONBUILD: (config, rest) => ({ ...config, OnBuild: [...(config.OnBuild ?? []), rest] }),
  STOPSIGNAL: (config, rest) => ({ ...config, StopSignal: rest }),
  USER: (config, rest) => ({ ...config, User: rest }),
  VOLUME: (config, rest) => ({ ...config, Volumes: union(config.Volumes, list(rest)) }),
  WORKDIR: (config, rest) => ({ ...config, WorkingDir: absolute(config.WorkingDir ?? "", rest) }),
};

/** In what follows these, the variables of the environment are replaced. */
const EXPANDED = new Set(["ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"]);

/** Replaces variables in an instruction's words. */
export type Expander = (text: string, env: readonly string[]) => string;

/**
 * `config` after the instructions `changes`, in the order they are given.
 * @param expand knows the variables and how they are written; without it they stay as they are.
 * @throws {ImageError} CHANGE_INVALID
 */
export function applyChanges(
  config: ContainerConfig,
  changes: readonly string[],
  expand: Expander = (text) => text,
): ContainerConfig {
  return changes.reduce((changed, line) => {
    const [, instruction = "", rest = ""] = /^\s*(\S+)\s*(.*?)\s*$/s.exec(line) ?? [];
    const change = Object.hasOwn(CHANGES, instruction.toUpperCase())
      ? CHANGES[instruction.toUpperCase()]
      : undefined;
    if (change === undefined) {
      throw new ImageError("CHANGE_INVALID", `${instruction} is not a valid change command`);
    }
    if (rest === "") throw new ImageError("CHANGE_INVALID", `${instruction} requires an argument`);
    const isExpanded = EXPANDED.has(instruction.toUpperCase());
    return change(changed, isExpanded ? expand(rest, changed.Env ?? []) : rest);
  }, config);
}

/** Options of HEALTHCHECK, and what the engine calls them. */
const HEALTH_TIMES: Readonly<Record<string, string>> = {
  interval: "Interval",
  timeout: "Timeout",
  "start-period": "StartPeriod",
  "start-interval": "StartInterval",
};

/** `NONE`, or options and `CMD` with a command. Times are nanoseconds in the engine's JSON. */
function healthcheck(text: string): Readonly<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  let rest = text;
  for (;;) {
    const [whole, name = "", value = ""] = /^--([a-z-]+)=(\S+)\s+/.exec(rest) ?? [];
    if (whole === undefined) break;
    rest = rest.slice(whole.length);
    const time = Object.hasOwn(HEALTH_TIMES, name) ? HEALTH_TIMES[name] : undefined;
    if (time !== undefined) found[time] = nanoseconds(value);
    else if (name === "retries" && /^[0-9]{1,9}$/.test(value)) found["Retries"] = Number(value);
    else throw new ImageError("CHANGE_INVALID", `HEALTHCHECK does not know --${name}=${value}`);
  }
  if (/^NONE$/i.test(rest)) return { Test: ["NONE"] };
  const [, line] = /^CMD\s+(.+)$/is.exec(rest) ?? [];
  if (line === undefined) throw new ImageError("CHANGE_INVALID", `HEALTHCHECK ${rest}`);
  const words = jsonStrings(line);
  return { Test: words === undefined ? ["CMD-SHELL", line] : ["CMD", ...words], ...found };
}

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** A duration as Go writes it: `1m30s`. */
function nanoseconds(text: string): number {
  if (!/^(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|ms|s|m|h))+$/.test(text)) {
    throw new ImageError("CHANGE_INVALID", `${JSON.stringify(text)} is no duration`);
  }
  const parts = text.matchAll(/([0-9.]+)(ns|us|ms|s|m|h)/g);
  return [...parts].reduce(
    (sum, [, count, unit = ""]) => sum + Math.round(Number(count) * (UNIT_NS[unit] ?? 0)),
    0,
  );
}

/** `["a", "b"]` is itself, anything else is for a shell. */
function command(text: string): readonly string[] {
  return jsonStrings(text) ?? ["/bin/sh", "-c", text];
}

function list(text: string): readonly string[] {
  return jsonStrings(text) ?? words(text);
}

function jsonStrings(text: string): readonly string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === "string")
      ? value
      : undefined;
  } catch {
    return undefined;
  }
}

function ports(text: string): readonly string[] {
  return words(text).map((port) => {
    if (!/^[0-9]{1,5}(-[0-9]{1,5})?(\/(tcp|udp|sctp))?$/.test(port)) {
      throw new ImageError("CHANGE_INVALID", `${JSON.stringify(port)} is not a port`);
    }
    return port.includes("/") ? port : `${port}/tcp`;
  });
}

/** `NAME=value NAME2="v 2"`, or `NAME the rest`. */
function pairs(text: string): readonly (readonly [string, string])[] {
  const [first = ""] = words(text);
  if (!first.includes("=")) {
    const [, name = "", value = ""] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
    return [[name, value]];
  }
  return words(text).map((word) => {
    const equals = word.indexOf("=");
    if (equals <= 0) {
      throw new ImageError(
        "CHANGE_INVALID",
        `${JSON.stringify(word)} is not of the form NAME=value`,
      );
    }
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

function labels(text: string): Record<string, string> {
  return Object.fromEntries(pairs(text));
}

/** Splits at blanks outside of quotes; quotes and backslashes are taken away. */
function words(text: string): readonly string[] {
  const found: string[] = [];
  for (const [raw] of text.matchAll(/(?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])+/gs)) {
    found.push(
      raw.replace(
        /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs,
        (_, double?: string, single?: string, escaped?: string) =>
          double?.replace(/\\(.)/gs, "$1") ?? single ?? escaped ?? "",
      ),
    );
  }
  return found;
}

function merge(
  environment: readonly string[],
  changes: readonly (readonly [string, string])[],
): readonly string[] {
  const variables = new Map(environment.map((entry) => [entry.split("=", 1)[0] ?? "", entry]));
  for (const [name, value] of changes) variables.set(name, `${name}=${value}`);
  return [...variables.values()];
}

/** A set with some more in it, as Go's JSON has sets. */
function union(
  some: Readonly<Record<string, object>> | null | undefined,
  more: readonly string[],
): Readonly<Record<string, object>> {
  return { ...some, ...Object.fromEntries(more.map((name) => [name, {}])) };
}

function absolute(base: string, path: string): string {
  return path.startsWith("/") ? path : `${base.replace(/\/$/, "")}/${path}`;
}
