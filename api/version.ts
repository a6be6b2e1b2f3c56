/** The newest version of the Engine API that is spoken, and what an unversioned path means. */
export const API_VERSION = "1.51";
/** The oldest. */
export const MIN_API_VERSION = "1.24";
/** The release of Docker Engine whose behaviour is followed; what clients see as the server's version. */
export const ENGINE_VERSION = "28.3.3";

/** A version of the API as numbers. */
export interface ApiVersion {
  readonly major: number;
  readonly minor: number;
}

/** @returns undefined for what is no version. */
export function parseVersion(text: string): ApiVersion | undefined {
  const match = /^(\d{1,4})\.(\d{1,4})$/.exec(text);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

/** Negative when `a` is older than `b`. */
export function compareVersions(a: ApiVersion, b: ApiVersion): number {
  return a.major - b.major || a.minor - b.minor;
}

/** Whether a client of version `version` knows what came with `since`, such as `"1.42"`. */
export function atLeast(version: ApiVersion, since: string): boolean {
  const wanted = parseVersion(since);
  return wanted !== undefined && compareVersions(version, wanted) >= 0;
}
