import { type Platform, shortPlatformName } from "../../sentry/image/platform.ts";
import { expand } from "../dockerfile/expand.ts";
import type { Dockerfile } from "../dockerfile/parse.ts";
import { at } from "../errors.ts";

/** Build arguments that reach every RUN without an ARG, and no image: see the Dockerfile reference. */
const PROXIES: ReadonlySet<string> = new Set(
  ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"].flatMap((name) => [
    name,
    name.toLowerCase(),
  ]),
);

/** The proxies among the build arguments, as `NAME=value`, for programs that look for either case. */
export function proxyVariables(buildArgs: ReadonlyMap<string, string>): readonly string[] {
  return [...buildArgs]
    .filter(([name]) => PROXIES.has(name))
    .flatMap(([name, value]) => [
      `${name.toUpperCase()}=${value}`,
      `${name.toLowerCase()}=${value}`,
    ]);
}

/** Build arguments that mean something without an ARG: for the builder itself. */
export function isPredefined(name: string): boolean {
  return PROXIES.has(name) || name.startsWith("BUILDKIT_") || name === "SOURCE_DATE_EPOCH";
}

/** What every stage may ask for by an ARG without a value. */
export function platformArgs(
  build: Platform,
  target: Platform,
  targetStage: string,
): ReadonlyMap<string, string> {
  const rows: [string, string][] = [];
  for (const [prefix, platform] of [
    ["BUILD", build],
    ["TARGET", target],
  ] as const) {
    const name = shortPlatformName(platform);
    rows.push(
      [`${prefix}PLATFORM`, name],
      [`${prefix}OS`, platform.os],
      [`${prefix}ARCH`, platform.architecture],
      [`${prefix}VARIANT`, name.split("/")[2] ?? ""],
    );
  }
  rows.push(["TARGETSTAGE", targetStage]);
  return new Map(rows);
}

/** The variables that FROM sees: the ARGs before the first one, and the platforms'. */
export function globalVariables(
  file: Dockerfile,
  platform: ReadonlyMap<string, string>,
  buildArgs: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const variables = new Map(platform);
  for (const [name, value] of buildArgs) if (platform.has(name)) variables.set(name, value);
  for (const { args, range } of file.globalArgs) {
    at(range, () => {
      for (const { key, value } of args) {
        const given = buildArgs.get(key);
        if (given !== undefined) variables.set(key, given);
        else if (value !== undefined) {
          variables.set(key, expand(value, variables, { escapeToken: file.escapeToken }));
        }
      }
    });
  }
  return variables;
}
