import { ApiError } from "./errors.ts";
import {
  API_VERSION,
  type ApiVersion,
  compareVersions,
  MIN_API_VERSION,
  parseVersion,
} from "./version.ts";

const PREFIX = /^\/v(\d{1,4}\.\d{1,4})(?=\/|$|\?)/;

/** A link is removed by the name it has in its owner: `DELETE /containers/OWNER/ALIAS`. */
const LINK = /^\/containers\/([^/?]+)\/([^/?]+)(?=\?|$)/;

/**
 * Collections whose members' names may contain slashes, with the words that can follow a name. The name is
 * folded into one segment, so that routes can say `:name`.
 */
const SLASHED: readonly {
  readonly collection: string;
  readonly actions: readonly string[];
  /** Paths of the collection itself, which no name is in. */
  readonly own: readonly string[];
}[] = [
  {
    collection: "/images/",
    actions: ["json", "history", "push", "tag", "get", "attestations"],
    own: ["json", "create", "get", "load", "prune", "search"],
  },
  { collection: "/distribution/", actions: ["json"], own: [] },
  {
    collection: "/plugins/",
    actions: ["json", "enable", "disable", "upgrade", "push", "set"],
    own: ["create", "pull", "privileges"],
  },
];

/** A request's target, taken apart. */
export interface Target {
  /** Path and query without the version, names with slashes folded into one segment. */
  readonly url: string;
  /** The version in the path, or undefined where there is none. */
  readonly version: string | undefined;
}

/** Takes a request's target apart; never fails. */
export function parseTarget(method: string, url: string): Target {
  const match = PREFIX.exec(url);
  const rest = match === null ? url : url.slice(match[0].length);
  const bare = rest.startsWith("/") ? rest : `/${rest}`;
  return { url: foldName(method, bare), version: match?.[1] };
}

/** @throws {ApiError} `VERSION_TOO_NEW`, `VERSION_TOO_OLD`. */
export function checkVersion(text: string | undefined): ApiVersion {
  const max = parseVersion(API_VERSION) as ApiVersion;
  if (text === undefined) return max;
  const min = parseVersion(MIN_API_VERSION) as ApiVersion;
  const version = parseVersion(text);
  if (version === undefined) throw new ApiError("PAGE_NOT_FOUND");
  if (compareVersions(version, max) > 0) {
    throw new ApiError("VERSION_TOO_NEW", text, API_VERSION);
  }
  if (compareVersions(version, min) < 0) {
    throw new ApiError("VERSION_TOO_OLD", text, MIN_API_VERSION);
  }
  return version;
}

function foldName(method: string, target: string): string {
  const url = method === "DELETE" ? target.replace(LINK, "/containers/$1%2F$2") : target;
  const end = url.indexOf("?");
  const path = end < 0 ? url : url.slice(0, end);
  const row = SLASHED.find(({ collection }) => path.startsWith(collection));
  if (row === undefined) return url;
  const rest = path.slice(row.collection.length);
  if (!rest.includes("/")) return url;
  const slash = rest.lastIndexOf("/");
  const action = rest.slice(slash + 1);
  // DELETE takes the whole rest as a name, as an image may be called a/json.
  const named = method !== "DELETE" && row.actions.includes(action) ? rest.slice(0, slash) : rest;
  const folded = named.replaceAll("/", "%2F");
  const query = end < 0 ? "" : url.slice(end);
  return `${row.collection}${folded}${rest.slice(named.length)}${query}`;
}
