import { ImageError } from "./errors.ts";
import { readBody } from "./http.ts";
import { JsonReader } from "./json.ts";
import { JSON_BYTES_MAX } from "./limits.ts";
import { RegistryClient, type RegistryOptions } from "./registry-client.ts";

/** A repository that a registry has found. */
export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly official: boolean;
  readonly automated: boolean;
}

const HUB = "docker.io";
/** Where docker's hub searches: not where it keeps images. */
const HUB_INDEX = "https://index.docker.io/";
const LIMIT_DEFAULT = 25;
const LIMIT_MAX = 100;
const RESULTS_MAX = 1000;
const json = new JsonReader("REGISTRY_PROTOCOL");

/**
 * Searches a registry for `term`, by docker's first API (`/v1/search`), which few registries but docker's hub
 * have. A term with a host name in it is searched there.
 * @throws {ImageError} SEARCH_INVALID, SEARCH_UNSUPPORTED, REGISTRY_*
 */
export async function search(
  term: string,
  limit: number | undefined,
  options: RegistryOptions = {},
): Promise<SearchResult[]> {
  if (term === "" || term.includes("://")) {
    const reason = term === "" ? "a term is required" : "repository name with a scheme";
    throw new ImageError("SEARCH_INVALID", reason);
  }
  if (limit !== undefined && (limit < 0 || limit > LIMIT_MAX)) {
    throw new ImageError("SEARCH_INVALID", `limit ${limit} is outside the range of [1, 100]`);
  }
  const { domain, rest } = splitTerm(term);
  const client = new RegistryClient(
    domain,
    options,
    domain === HUB ? new URL(HUB_INDEX) : undefined,
  );
  try {
    const address = new URL("v1/search", await client.root());
    address.searchParams.set("q", rest);
    address.searchParams.set("n", String(limit || LIMIT_DEFAULT));
    const response = await client.send({ path: address, scopes: [] });
    if (response.status !== 200) {
      response.discard();
      throw new ImageError("SEARCH_UNSUPPORTED", `${domain} answered ${response.status}`);
    }
    const answer = json.parse(await readBody(response, JSON_BYTES_MAX));
    return json.array(answer["results"] ?? [], "results", RESULTS_MAX).map((value) => {
      const found = json.object(value, "a result");
      const stars = found["star_count"];
      return {
        name: json.string(found["name"], "a name"),
        description: json.optionalString(found["description"], "a description") ?? "",
        stars: typeof stars === "number" ? stars : 0,
        official: found["is_official"] === true,
        automated: found["is_automated"] === true,
      };
    });
  } finally {
    client.close();
  }
}

function splitTerm(term: string): { readonly domain: string; readonly rest: string } {
  const slash = term.indexOf("/");
  const first = term.slice(0, Math.max(0, slash));
  if (/[.:]/.test(first) || first === "localhost") {
    return { domain: first, rest: term.slice(slash + 1) };
  }
  return { domain: HUB, rest: term.replace(/^library\//, "") };
}
