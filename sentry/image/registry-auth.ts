import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { ImageError } from "./errors.ts";
import { type HttpClient, isLoopback, parseUrl, readBody } from "./http.ts";
import { JsonReader } from "./json.ts";
import { JSON_BYTES_MAX } from "./limits.ts";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** What a registry asks for in `WWW-Authenticate`. See RFC 9110, 11.6.1. */
export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const CHALLENGE_LENGTH_MAX = 8192;
const HUB_KEY = "index.docker.io";
const json = new JsonReader("REGISTRY_PROTOCOL");

/** The first challenge of the header, or undefined where it has none that can be read. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  if (header === undefined || header.length > CHALLENGE_LENGTH_MAX) return undefined;
  const match = /^\s*([A-Za-z]+)(?:\s+|$)/.exec(header);
  if (match === null) return undefined;
  const parameters = new Map<string, string>();
  const pair = /\s*([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)/y;
  pair.lastIndex = match[0].length;
  for (let found = pair.exec(header); found !== null; found = pair.exec(header)) {
    const [, key = "", quoted, bare] = found;
    parameters.set(key.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? bare ?? "");
  }
  return { scheme: (match[1] ?? "").toLowerCase(), parameters };
}

/** The value of an `Authorization` header for Basic. See RFC 7617. */
export function basic({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/**
 * Asks the token server that a registry names for leave to pull `path`.
 * Credentials only ever go to the registry's own token server: one on the same host, or on a
 * sibling of it (`auth.` and `registry.` of one domain), through TLS unless both are this machine.
 * @returns the value of an `Authorization` header
 * @throws {ImageError} REGISTRY_DENIED, REGISTRY_INSECURE, REGISTRY_PROTOCOL, REGISTRY_UNREACHABLE
 */
export async function fetchToken(
  client: HttpClient,
  registry: URL,
  path: string,
  challenge: Challenge,
  credentials: Credentials | undefined,
  signal: AbortSignal | undefined,
): Promise<string> {
  const realm = parseUrl(challenge.parameters.get("realm") ?? "");
  checkRealm(registry, realm);
  const service = challenge.parameters.get("service");
  if (service !== undefined) realm.searchParams.set("service", service);
  // Our own scope, not the challenge's: we ask for no more than we need.
  realm.searchParams.set("scope", `repository:${path}:pull`);
  const headers: Record<string, string> = { accept: "application/json" };
  if (credentials !== undefined) headers["authorization"] = basic(credentials);
  const response = await client.get(realm, { headers, signal });
  const body = await readBody(response, JSON_BYTES_MAX);
  if (response.status !== 200) {
    const what = `the token server ${realm.host} answered ${response.status}`;
    throw new ImageError(response.status < 500 ? "REGISTRY_DENIED" : "REGISTRY_UNREACHABLE", what);
  }
  const answer = json.parse(body);
  const token = json.string(answer["token"] ?? answer["access_token"], "the token");
  if (!/^[\x21-\x7e]+$/.test(token)) throw json.error("the token has odd characters");
  return `Bearer ${token}`;
}

function checkRealm(registry: URL, realm: URL): void {
  const local = isLoopback(registry) && isLoopback(realm);
  if (realm.protocol !== "https:" && !local && realm.origin !== registry.origin) {
    throw new ImageError("REGISTRY_INSECURE", `its token server is ${realm.origin}`);
  }
  if (local || related(registry.hostname, realm.hostname)) return;
  throw new ImageError(
    "REGISTRY_DENIED",
    `${registry.host} wants tokens from ${realm.host}, which is not its own token server`,
  );
}

/** Whether two hosts are one, parent and child, or siblings below a name of two or more labels. */
function related(a: string, b: string): boolean {
  const family = (host: string): string =>
    host.split(".").length > 2 ? host.slice(host.indexOf(".") + 1) : host;
  const numeric = /^[0-9.]+$|^\[/;
  return a === b || (!numeric.test(a) && !numeric.test(b) && family(a) === family(b));
}

/**
 * What `docker login` has stored for a registry in the user's docker configuration, if anything.
 * Credential helpers, which are programs, are not run.
 */
export async function storedCredentials(
  domain: string,
  directory: string = process.env["DOCKER_CONFIG"] || join(homedir(), ".docker"),
): Promise<Credentials | undefined> {
  let auths: Readonly<Record<string, unknown>>;
  try {
    const bytes = await readFile(join(directory, "config.json"));
    auths = json.optionalObject(json.parse(bytes)["auths"], "auths");
  } catch {
    return undefined; // there is none, or it is not ours to judge
  }
  const wanted = domain === "docker.io" ? HUB_KEY : domain;
  for (const [key, value] of Object.entries(auths)) {
    if (key.replace(/^https?:\/\//, "").replace(/\/.*$/, "") !== wanted) continue;
    if (typeof value !== "object" || value === null || !("auth" in value)) continue;
    const [username, ...password] = Buffer.from(String(value.auth), "base64")
      .toString("utf8")
      .split(":");
    if (username) return { username, password: password.join(":") };
  }
  return undefined;
}
