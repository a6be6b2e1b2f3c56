import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { ImageError } from "./errors.ts";
import { type JsonObject, JsonReader } from "./json.ts";

/** What a user shows a registry. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  /** What a token server gave at a login, to be shown it again. */
  | { readonly username?: string; readonly identityToken: string }
  /** What a token server would give. */
  | { readonly registryToken: string };

const HUB = "docker.io";
/** How docker's configuration calls its hub. */
const HUB_KEY = "https://index.docker.io/v1/";
const HELPER = /^[A-Za-z0-9._-]{1,64}$/;
const HELPER_MS = 30_000;
const HELPER_BYTES_MAX = 1024 * 1024;
/** The user name by which a helper says that its secret is an identity token. */
const TOKEN_USER = "<token>";
const json = new JsonReader("CREDENTIALS_INVALID");

/** Docker's own configuration of a user: where logins are kept, for docker and for us. */
export function dockerConfigDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  return environment["DOCKER_CONFIG"] || join(homedir(), ".docker");
}

/**
 * What `docker login` has stored for a registry: in a credential helper where the configuration names one,
 * else in the configuration itself.
 * @throws {ImageError} CREDENTIALS_INVALID where a helper fails
 */
export async function storedCredentials(
  domain: string,
  directory: string = dockerConfigDirectory(),
): Promise<Credentials | undefined> {
  let config: JsonObject;
  try {
    config = json.parse(await readFile(join(directory, "config.json")));
  } catch {
    return undefined; // there is none, or it is not ours to judge
  }
  const helper = helperFor(config, domain);
  const kept = helper === undefined ? undefined : await askHelper(helper, keyOf(domain));
  if (kept !== undefined) return kept;
  const auths = config["auths"];
  for (const [key, value] of Object.entries(typeof auths === "object" ? (auths ?? {}) : {})) {
    if (hostOf(key) !== hostOf(keyOf(domain))) continue;
    const found = parseStored(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Keeps a login where docker would look for it.
 * @returns the helper that has it, or undefined where it is in the configuration, as good as unencrypted
 */
export async function storeCredentials(
  domain: string,
  credentials: Credentials,
  directory: string = dockerConfigDirectory(),
): Promise<string | undefined> {
  const config = await readConfig(directory);
  const key = keyOf(domain);
  const helper = helperFor(config, domain);
  const auths = json.optionalObject(config["auths"], "auths");
  if ("registryToken" in credentials) {
    throw new ImageError("CREDENTIALS_INVALID", "a registry's token is not kept");
  }
  const { username = "" } = credentials;
  const token = "identityToken" in credentials ? credentials.identityToken : undefined;
  if (helper !== undefined) {
    const secret = "password" in credentials ? credentials.password : token;
    const Username = token === undefined ? username : TOKEN_USER;
    await runHelper(helper, "store", JSON.stringify({ ServerURL: key, Username, Secret: secret }));
    await writeConfig(directory, { ...config, auths: { ...auths, [key]: {} } });
    return helper;
  }
  const password = "password" in credentials ? credentials.password : "";
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  const entry = token === undefined ? { auth } : { auth, identitytoken: token };
  await writeConfig(directory, { ...config, auths: { ...auths, [key]: entry } });
  return undefined;
}

/** Forgets a login; says whether there was one. */
export async function eraseCredentials(
  domain: string,
  directory: string = dockerConfigDirectory(),
): Promise<boolean> {
  const config = await readConfig(directory);
  const key = keyOf(domain);
  const auths = json.optionalObject(config["auths"], "auths");
  const kept = Object.entries(auths).filter(([each]) => hostOf(each) !== hostOf(key));
  const known = kept.length < Object.keys(auths).length;
  const helper = helperFor(config, domain);
  if (helper !== undefined) await runHelper(helper, "erase", key);
  if (known) await writeConfig(directory, { ...config, auths: Object.fromEntries(kept) });
  return known;
}

/**
 * The credentials in the header `X-Registry-Auth`, or undefined where there are none in it.
 * @throws {ImageError} CREDENTIALS_INVALID
 */
export function parseAuthHeader(header: string | undefined): Credentials | undefined {
  if (header === undefined || header === "") return undefined;
  return parseAuthConfig(json.parse(Buffer.from(header, "base64url")));
}

/** The credentials by registry in the header `X-Registry-Config`, which a build comes with. */
export function parseAuthsHeader(header: string | undefined): ReadonlyMap<string, Credentials> {
  const found = new Map<string, Credentials>();
  if (header === undefined || header === "") return found;
  for (const [key, value] of Object.entries(json.parse(Buffer.from(header, "base64url")))) {
    const credentials = parseAuthConfig(json.object(value, key));
    const host = hostOf(key);
    if (credentials !== undefined) found.set(host === hostOf(HUB_KEY) ? HUB : host, credentials);
  }
  return found;
}

/** The Engine API's AuthConfig. */
export function parseAuthConfig(config: JsonObject): Credentials | undefined {
  const text = (key: string): string => json.optionalString(config[key], key) ?? "";
  if (text("registrytoken") !== "") return { registryToken: text("registrytoken") };
  const username = text("username");
  if (text("identitytoken") !== "") return { username, identityToken: text("identitytoken") };
  if (username !== "") return { username, password: text("password") };
  return parseStored(config);
}

/** The registry that an AuthConfig is for: `docker.io` where it does not say. */
export function registryOf(address: string): string {
  const host = hostOf(address);
  return host === "" || host === hostOf(HUB_KEY) || host === "registry-1.docker.io" ? HUB : host;
}

function parseStored(value: unknown): Credentials | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const entry = value as JsonObject;
  const { auth, identitytoken } = entry;
  const decoded = typeof auth === "string" ? Buffer.from(auth, "base64").toString("utf8") : "";
  const [username = "", ...password] = decoded.replace(/\0+$/, "").split(":");
  if (typeof identitytoken === "string" && identitytoken !== "") {
    return { username, identityToken: identitytoken };
  }
  return username === "" ? undefined : { username, password: password.join(":") };
}

function keyOf(domain: string): string {
  return domain === HUB ? HUB_KEY : domain;
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}

function helperFor(config: JsonObject, domain: string): string | undefined {
  const helpers = json.optionalObject(config["credHelpers"], "credHelpers");
  const own = helpers[keyOf(domain)] ?? helpers[domain] ?? config["credsStore"];
  if (own === undefined || own === null || own === "") return undefined;
  if (typeof own === "string" && HELPER.test(own)) return own;
  throw new ImageError("CREDENTIALS_INVALID", `${JSON.stringify(own)} is no credential helper`);
}

async function askHelper(helper: string, key: string): Promise<Credentials | undefined> {
  const answer = await runHelper(helper, "get", key);
  if (answer === undefined) return undefined;
  const document = json.parse(answer);
  const username = json.string(document["Username"], "Username");
  const secret = json.string(document["Secret"], "Secret");
  if (username === TOKEN_USER) return { identityToken: secret };
  return username === "" && secret === "" ? undefined : { username, password: secret };
}

/**
 * Runs `docker-credential-HELPER ACTION` with its protocol: input on stdin, answer on stdout.
 * @returns undefined where the helper has no such credentials
 */
function runHelper(helper: string, action: string, input: string): Promise<Buffer | undefined> {
  const program = `docker-credential-${helper}`;
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void =>
      reject(new ImageError("CREDENTIALS_INVALID", `${program}: ${reason}`));
    const child = spawn(program, [action], {
      stdio: ["pipe", "pipe", "ignore"],
      timeout: HELPER_MS,
      killSignal: "SIGKILL",
    });
    const output: Buffer[] = [];
    let length = 0;
    child.stdout.on("data", (bytes: Buffer) => {
      length += bytes.length;
      if (length > HELPER_BYTES_MAX) child.kill("SIGKILL");
      else output.push(bytes);
    });
    child.on("error", (error) => {
      // A configuration that came from another machine: what the helper has is not here.
      if (action === "get" && "code" in error && error.code === "ENOENT") resolve(undefined);
      else fail(error.message);
    });
    child.stdin.on("error", () => undefined); // it ended early, and its exit says why
    child.on("close", (code) => {
      const bytes = Buffer.concat(output);
      if (code === 0) resolve(bytes);
      else if (/credentials not found/i.test(bytes.toString())) resolve(undefined);
      else fail(bytes.toString().trim().slice(0, 200) || `it ended with ${code}`);
    });
    child.stdin.end(input);
  });
}

async function readConfig(directory: string): Promise<JsonObject> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(join(directory, "config.json"));
  } catch {
    return {};
  }
  return json.parse(bytes);
}

async function writeConfig(directory: string, config: JsonObject): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, "config.json");
  const staged = `${path}.${randomBytes(4).toString("hex")}`;
  await writeFile(staged, `${JSON.stringify(config, undefined, "\t")}\n`, { mode: 0o600 });
  await rename(staged, path);
}
