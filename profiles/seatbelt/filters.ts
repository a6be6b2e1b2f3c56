import { type Expression, SbplError } from "./reader.ts";

/** What an operation is about: the facts that filters ask for. */
export interface SeatbeltObject {
  /** The canonical path of a file. */
  readonly path?: string;
  /** Whom a signal or a task port is for. */
  readonly target?: "self" | "same-sandbox" | "others";
  /** The name of a sysctl, a Mach service, a shared memory object or a preference domain. */
  readonly name?: string;
  /** The far or near end of a socket, `tcp 10.0.0.1:80` or `unix /path`. */
  readonly remote?: string;
  readonly local?: string;
}

export type Filter = (object: SeatbeltObject) => boolean;

const SOCKET = /^(tcp|udp|unix) (.*)$/s;
const HOSTS = new Set(["*", "localhost"]);

type Words = readonly string[];

/** The filters that compare words; each takes what stands after its name. */
const FILTERS: Readonly<Record<string, (words: Words) => Filter>> = {
  literal: anyOf((word) => (object) => object.path === word),
  path: anyOf((word) => (object) => object.path === word),
  subpath: anyOf(
    (word) => (object) => object.path === word || (object.path?.startsWith(`${word}/`) ?? false),
  ),
  prefix: anyOf((word) => (object) => object.path?.startsWith(word) ?? false),
  target: anyOf((word) => (object) => targetMatches(word, object.target)),
  "sysctl-name": anyOf((word) => (object) => object.name === word),
  "sysctl-name-prefix": anyOf((word) => (object) => object.name?.startsWith(word) ?? false),
  "global-name": anyOf((word) => (object) => object.name === word),
  "global-name-prefix": anyOf((word) => (object) => object.name?.startsWith(word) ?? false),
  "local-name": anyOf((word) => (object) => object.name === word),
  "ipc-posix-name": anyOf((word) => (object) => object.name === word),
  "preference-domain": anyOf((word) => (object) => object.name === word),
  remote:
    ([protocol, address]) =>
    (object) =>
      socketMatches(protocol, address, object.remote),
  local:
    ([protocol, address]) =>
    (object) =>
      socketMatches(protocol, address, object.local),
};

/** The names of all filters, `require-...` included. */
export const FILTER_NAMES: ReadonlySet<string> = new Set([
  ...Object.keys(FILTERS),
  "regex",
  "require-all",
  "require-any",
  "require-not",
]);

/** A filter whose words have been evaluated. @throws SbplError for an unknown one. */
export function wordFilter(name: string, words: Words): Filter {
  if (name === "regex") return anyOf((word) => pathPattern(word))(words);
  const make = FILTERS[name];
  if (make === undefined) throw new SbplError(`Unknown filter ${name}`);
  if (words.length === 0) throw new SbplError(`The filter ${name} has no value`);
  return make(words);
}

/** Several filters in one rule are alternatives. */
export function requireAny(filters: readonly Filter[]): Filter {
  return (object) => filters.some((filter) => filter(object));
}

export function requireAll(filters: readonly Filter[]): Filter {
  return (object) => filters.every((filter) => filter(object));
}

export function requireNot(filter: Filter): Filter {
  return (object) => !filter(object);
}

/** The text of a value. @throws SbplError when it is none. */
export function wordOf(expression: Expression): string {
  if (expression.kind === "list" || expression.kind === "boolean") {
    throw new SbplError("A filter's value is no word");
  }
  return expression.kind === "symbol" ? expression.name : String(expression.value);
}

function anyOf(one: (word: string) => Filter): (words: Words) => Filter {
  return (words) => requireAny(words.map(one));
}

function targetMatches(word: string, target: SeatbeltObject["target"]): boolean {
  if (!["self", "same-sandbox", "others"].includes(word)) {
    throw new SbplError(`Unknown target ${word}`);
  }
  return target === word || (word === "same-sandbox" && target === "self");
}

/** `tcp "*:80"`: the host can only be `*` or `localhost`, the port `*` or a number. */
function socketMatches(
  protocol: string | undefined,
  address: string | undefined,
  end: string | undefined,
): boolean {
  if (protocol === undefined) throw new SbplError("A socket filter has no protocol");
  const found = SOCKET.exec(end ?? "");
  if (found === null) return false;
  const [, actual = "", place = ""] = found;
  if (protocol === "unix" || protocol === "unix-socket") return actual === "unix";
  if (protocol !== "ip" && protocol !== actual) return false;
  if (actual === "unix") return false;
  if (address === undefined) return true;
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon);
  const port = address.slice(colon + 1);
  if (!HOSTS.has(host)) throw new SbplError(`The host ${host} is neither * nor localhost`);
  const actualColon = place.lastIndexOf(":");
  const actualHost = place.slice(0, actualColon);
  const loopback = actualHost.startsWith("127.") || actualHost === "::1";
  return (host === "*" || loopback) && (port === "*" || port === place.slice(actualColon + 1));
}

function pathPattern(source: string): Filter {
  const pattern = new RegExp(source);
  return (object) => object.path !== undefined && pattern.test(object.path);
}
