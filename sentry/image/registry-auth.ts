import type { Credentials } from "./credentials.ts";
import { ImageError } from "./errors.ts";
import { type HttpClient, type HttpResponse, readBody } from "./http.ts";
import { isLoopback, parseUrl } from "./http-address.ts";
import { JsonReader } from "./json.ts";
import { JSON_BYTES_MAX } from "./limits.ts";

/** What a registry asks for in `WWW-Authenticate`. See RFC 9110, 11.6.1. */
export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const CHALLENGE_LENGTH_MAX = 8192;
/** How token servers know us. */
const CLIENT_ID = "dd";
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
export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

export interface TokenRequest {
  /** The registry that wants a token. */
  readonly registry: URL;
  readonly challenge: Challenge;
  /** What for, such as `repository:a/b:pull`: our own words, so that we ask for no more than we need. */
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
  /** Asks for an identity token as well, by which the password need not be kept. */
  readonly offline?: boolean;
  readonly signal: AbortSignal | undefined;
}

export interface Token {
  /** The value of an `Authorization` header. */
  readonly authorization: string;
  readonly identityToken: string | undefined;
}

/**
 * Asks the token server that a registry names for leave.
 * Credentials only ever go to the registry's own token server: one on the same host, or on a
 * sibling of it (`auth.` and `registry.` of one domain), through TLS unless both are this machine.
 * See the distribution project's "Token Authentication" and "OAuth2 Token Authentication".
 * @throws {ImageError} REGISTRY_UNAUTHORIZED, REGISTRY_DENIED, REGISTRY_INSECURE, REGISTRY_PROTOCOL,
 *   REGISTRY_UNREACHABLE
 */
export async function fetchToken(client: HttpClient, request: TokenRequest): Promise<Token> {
  const { registry, challenge, credentials } = request;
  if (credentials !== undefined && "registryToken" in credentials) {
    return { authorization: `Bearer ${credentials.registryToken}`, identityToken: undefined };
  }
  const realm = parseUrl(challenge.parameters.get("realm") ?? "");
  checkRealm(registry, realm);
  const response = await askFor(client, realm, request);
  const body = await readBody(response, JSON_BYTES_MAX);
  if (response.status !== 200) {
    const what = `the token server ${realm.host} answered ${response.status}`;
    if (response.status === 401) {
      throw new ImageError("REGISTRY_UNAUTHORIZED", "incorrect username or password");
    }
    throw new ImageError(response.status < 500 ? "REGISTRY_DENIED" : "REGISTRY_UNREACHABLE", what);
  }
  const answer = json.parse(body);
  const token = json.string(answer["token"] ?? answer["access_token"], "the token");
  if (!/^[\x21-\x7e]+$/.test(token)) throw json.error("the token has odd characters");
  const identityToken = json.optionalString(answer["refresh_token"], "the refresh token");
  return { authorization: `Bearer ${token}`, identityToken };
}

function askFor(client: HttpClient, realm: URL, request: TokenRequest): Promise<HttpResponse> {
  const { challenge, credentials, scopes, signal } = request;
  const service = challenge.parameters.get("service");
  const accept = { accept: "application/json" };
  if (credentials !== undefined && "identityToken" in credentials) {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      client_id: CLIENT_ID,
      refresh_token: credentials.identityToken,
      ...(service === undefined ? {} : { service }),
      scope: scopes.join(" "),
    });
    const headers = { ...accept, "content-type": "application/x-www-form-urlencoded" };
    return client.send(realm, { method: "POST", headers, body: Buffer.from(`${form}`), signal });
  }
  if (service !== undefined) realm.searchParams.set("service", service);
  for (const scope of scopes) realm.searchParams.append("scope", scope);
  if (credentials === undefined) return client.send(realm, { headers: accept, signal });
  const { username, password } = credentials as { username: string; password: string };
  realm.searchParams.set("account", username);
  if (request.offline === true) {
    realm.searchParams.set("offline_token", "true");
    realm.searchParams.set("client_id", CLIENT_ID);
  }
  const headers = { ...accept, authorization: basic(username, password) };
  return client.send(realm, { headers, signal });
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
