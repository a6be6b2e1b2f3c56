import { readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import * as tls from "node:tls";
import { ImageError } from "./errors.ts";
import { isLoopback } from "./http-address.ts";
import { JsonReader } from "./json.ts";
import { type Proxies, proxiesOf } from "./proxy.ts";

/** How registries are reached: what a user or an administrator has set, not what a registry says. */
export interface RegistrySettings {
  /** Hosts (with or without a port) and networks in CIDR notation that need no TLS, or no good one. */
  readonly insecure: readonly string[];
  /** Addresses that are asked before docker.io. */
  readonly mirrors: readonly string[];
  /** Where to look for `HOST[:PORT]/*.crt`, `*.cert` and `*.key`. See docker's "certs.d". */
  readonly certificates: readonly string[];
  readonly proxies: Proxies;
}

/** Names that certificates and keys may have in a directory: more there is nobody's intention. */
const FILES_MAX = 64;
const MIRRORS_MAX = 32;
const SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt";
const DOCKER_CERTIFICATES = "/etc/docker/certs.d";
const json = new JsonReader("SETTINGS_INVALID");

/** The user's own directory for settings: `dd` in `$XDG_CONFIG_HOME`. */
export function settingsDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const chosen = environment["XDG_CONFIG_HOME"];
  return join(chosen && isAbsolute(chosen) ? chosen : join(homedir(), ".config"), "dd");
}

/**
 * What `daemon.json` in the user's settings says (docker's keys `insecure-registries` and `registry-mirrors`),
 * and the proxies of the environment.
 * @throws {ImageError} SETTINGS_INVALID
 */
export function readRegistrySettings(
  environment: NodeJS.ProcessEnv = process.env,
): RegistrySettings {
  const directory = settingsDirectory(environment);
  const file = readOptional(join(directory, "daemon.json"));
  const document = file === undefined ? {} : json.parse(file);
  const strings = (key: string): readonly string[] =>
    json.optionalStrings(document[key], key, MIRRORS_MAX) ?? [];
  return checkSettings({
    insecure: strings("insecure-registries"),
    mirrors: strings("registry-mirrors"),
    certificates: [join(directory, "certs.d"), DOCKER_CERTIFICATES],
    proxies: proxiesOf(environment),
  });
}

/** Registries that are named besides those of the user's file. */
export type RegistryAdditions = Pick<RegistrySettings, "insecure" | "mirrors">;

/**
 * Settings with some more in them.
 * @throws {ImageError} SETTINGS_INVALID
 */
export function addRegistries(
  settings: RegistrySettings,
  { insecure, mirrors }: RegistryAdditions,
): RegistrySettings {
  return checkSettings({
    ...settings,
    insecure: [...settings.insecure, ...insecure],
    mirrors: [...settings.mirrors, ...mirrors],
  });
}

/** Settings, when all their addresses are some. */
export function checkSettings(settings: RegistrySettings): RegistrySettings {
  for (const mirror of settings.mirrors) {
    const url = URL.canParse(mirror) ? new URL(mirror) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== "") {
      throw new ImageError("SETTINGS_INVALID", `invalid mirror: ${JSON.stringify(mirror)}`);
    }
  }
  for (const network of settings.insecure) {
    if (network.includes("/") && parseNetwork(network) === undefined) {
      const what = JSON.stringify(network);
      throw new ImageError("SETTINGS_INVALID", `insecure registry ${what} is no host`);
    }
  }
  return settings;
}

/** Whether a registry may be reached without TLS, or with a certificate that nobody vouches for. */
export function isInsecure(settings: RegistrySettings, url: URL): boolean {
  return (
    isLoopback(url) ||
    settings.insecure.some((each) =>
      each.includes("/")
        ? isInNetwork(url.hostname, each)
        : each === url.host || (!each.includes(":") && each === url.hostname) || isPort(each, url),
    )
  );
}

/** `host:443` is what an address with https and no port means. */
function isPort(host: string, url: URL): boolean {
  return host === `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
}

interface Network {
  readonly address: number;
  readonly bits: number;
}

/** IPv4 networks: what docker's users write here. */
function parseNetwork(text: string): Network | undefined {
  const [, address = "", bits = ""] = /^([0-9.]+)\/([0-9]{1,2})$/.exec(text) ?? [];
  const number = parseAddress(address);
  return number === undefined || Number(bits) > 32
    ? undefined
    : { address: number, bits: Number(bits) };
}

function parseAddress(text: string): number | undefined {
  const parts = text.split(".").map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part <= 255))) return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

/** Whether an address, written in digits, is in a network. Names are in none. */
export function isInNetwork(hostname: string, network: string): boolean {
  const wanted = parseNetwork(network);
  const address = parseAddress(hostname);
  if (wanted === undefined || address === undefined) return false;
  const size = 2 ** (32 - wanted.bits);
  return Math.floor(address / size) === Math.floor(wanted.address / size);
}

/** What is laid down for one registry's TLS. */
export interface HostCertificates {
  readonly ca: readonly Buffer[];
  /** A client's certificate and its key. */
  readonly client: { readonly cert: Buffer; readonly key: Buffer } | undefined;
}

/**
 * The certificates for a host (with its port, if it has one).
 * @throws {ImageError} SETTINGS_INVALID for a certificate without its key
 */
export function hostCertificates(settings: RegistrySettings, host: string): HostCertificates {
  const ca: Buffer[] = [];
  let client: HostCertificates["client"];
  // A host name from a URL has no slash; what is left could only be the directory itself.
  if (!/^[A-Za-z0-9[]/.test(host)) return { ca, client };
  for (const base of settings.certificates) {
    const directory = join(base, host);
    for (const name of listOptional(directory)) {
      if (name.endsWith(".crt")) ca.push(readFileSync(join(directory, name)));
      if (!name.endsWith(".cert")) continue;
      const key = readOptional(join(directory, name.replace(/cert$/, "key")));
      if (key === undefined) {
        throw new ImageError(
          "SETTINGS_INVALID",
          `missing key ${name.replace(/cert$/, "key")} for client certificate ${name}`,
        );
      }
      client ??= { cert: readFileSync(join(directory, name)), key };
    }
  }
  return { ca, client };
}

let roots: readonly (string | Buffer)[] | undefined;

/** The authorities that this machine trusts: its own bundle, as for Go programs, and those of Node. */
export function systemRoots(): readonly (string | Buffer)[] {
  if (roots !== undefined) return roots;
  const extra = [process.env["NODE_EXTRA_CA_CERTS"], process.env["SSL_CERT_FILE"] || SYSTEM_BUNDLE]
    .map((path) => (path ? readOptional(path) : undefined))
    .filter((bundle) => bundle !== undefined);
  roots = [...tls.rootCertificates, ...extra];
  return roots;
}

function listOptional(directory: string): string[] {
  try {
    return readdirSync(directory).toSorted().slice(0, FILES_MAX);
  } catch {
    return []; // there is none, or it is not for us
  }
}

function readOptional(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
