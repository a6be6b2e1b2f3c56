import { ImageError } from "./errors.ts";
import type { RunConfig } from "./image-config.ts";

type Change = (config: RunConfig, rest: string) => RunConfig;

/** The Dockerfile instructions that `import --change` knows. See docker-image-import(1). */
const CHANGES: Readonly<Record<string, Change>> = {
  CMD: (config, rest) => ({ ...config, Cmd: command(rest) }),
  ENTRYPOINT: (config, rest) => ({ ...config, Entrypoint: command(rest) }),
  ENV: (config, rest) => ({ ...config, Env: merge(config.Env, pairs(rest)) }),
  EXPOSE: (config, rest) => ({ ...config, ExposedPorts: union(config.ExposedPorts, ports(rest)) }),
  LABEL: (config, rest) => ({ ...config, Labels: { ...config.Labels, ...labels(rest) } }),
  STOPSIGNAL: (config, rest) => ({ ...config, StopSignal: rest }),
  USER: (config, rest) => ({ ...config, User: rest }),
  VOLUME: (config, rest) => ({ ...config, Volumes: union(config.Volumes, list(rest)) }),
  WORKDIR: (config, rest) => ({ ...config, WorkingDir: absolute(config.WorkingDir, rest) }),
};

/**
 * `config` after the instructions `changes`, in the order they are given.
 * @throws {ImageError} CHANGE_INVALID
 */
export function applyChanges(config: RunConfig, changes: readonly string[]): RunConfig {
  return changes.reduce((changed, line) => {
    const [, instruction = "", rest = ""] = /^\s*(\S+)\s*(.*?)\s*$/s.exec(line) ?? [];
    const change = Object.hasOwn(CHANGES, instruction.toUpperCase())
      ? CHANGES[instruction.toUpperCase()]
      : undefined;
    if (change === undefined) {
      throw new ImageError("CHANGE_INVALID", `${instruction} is not a valid change command`);
    }
    if (rest === "") throw new ImageError("CHANGE_INVALID", `${instruction} requires an argument`);
    return change(changed, rest);
  }, config);
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

function union(some: readonly string[], more: readonly string[]): readonly string[] {
  return [...new Set([...some, ...more])];
}

function absolute(base: string, path: string): string {
  return path.startsWith("/") ? path : `${base.replace(/\/$/, "")}/${path}`;
}
