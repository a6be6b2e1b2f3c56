/** `--log-driver` and `--log-opt`: what becomes of what a container prints. */
import { ContainerError } from "./errors.ts";
import { flagOf } from "./flag-word.ts";

/** How a container's log is kept. */
export interface LogSpec {
  /** `json-file` and `local` are kept in one format, docker's json-file; of `none` nothing is kept. */
  readonly driver: "json-file" | "local" | "none";
  /** Size in bytes at which a new file is begun; absent: the driver's own. */
  readonly fileBytes?: number;
  /** How many files there are at most, the newest included. */
  readonly files?: number;
  /** Whether logs before the present one are compressed. */
  readonly compress?: true;
  /** Added to each entry: chosen labels and variables of the container, shown by `logs --details`. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** What chosen attributes are taken from. */
export interface LogSubject {
  readonly labels: Readonly<Record<string, string>>;
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly id: string;
  readonly name: string;
  readonly imageName: string;
}

const FILES_MAX = 1000;
const SHORT_ID = 12;
const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
/** Docker's own for the driver `local`. */
const LOCAL = { fileBytes: 20 * 2 ** 20, files: 5 };

type LogOptions = Readonly<Record<string, string>>;

/** The options each driver knows. Those of docker's that mean nothing here are taken all the same. */
const KNOWN: Readonly<Record<LogSpec["driver"], readonly string[]>> = {
  "json-file": [
    ...["max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag"],
    ...["mode", "max-buffer-size"],
  ],
  local: ["max-size", "max-file", "compress", "mode", "max-buffer-size"],
  none: [],
};

/** @throws {ContainerError} `INVALID_OPTION` in docker's words. */
export function checkLogOptions(driver: string, options: LogOptions): void {
  if (!isDriver(driver)) {
    throw invalid(`logger: no log driver named '${driver}' is registered`);
  }
  for (const name of Object.keys(options)) {
    if (!KNOWN[driver].includes(name)) {
      throw invalid(`unknown log opt '${name}' for ${driver} log driver`);
    }
  }
  const fileBytes = sizeOf(options["max-size"]);
  const files = filesOf(options["max-file"]) ?? 1;
  const compress = compressOf(options);
  if (driver === "json-file" && compress && (files < 2 || fileBytes === undefined)) {
    const why = "when max-file is less than 2 or max-size is not set";
    throw invalid(`compress cannot be true ${why}`);
  }
}

/**
 * How the log of one container is to be kept; undefined: as is usual.
 * @throws {ContainerError} `INVALID_OPTION`.
 */
export function logSpec(
  driver: string,
  options: LogOptions,
  subject: LogSubject,
): LogSpec | undefined {
  checkLogOptions(driver, options);
  if (!isDriver(driver)) return undefined;
  const usual = driver === "local" ? LOCAL : {};
  const fileBytes = sizeOf(options["max-size"]);
  const files = filesOf(options["max-file"]) ?? (fileBytes === undefined ? undefined : 1);
  const attributes = attributesOf(options, subject);
  const none = driver === "json-file" && fileBytes === undefined && attributes === undefined;
  if (none) return undefined;
  return {
    driver,
    ...usual,
    ...(fileBytes === undefined ? {} : { fileBytes }),
    ...(compressOf(options) ? { compress: true } : {}),
    ...(files === undefined || (driver === "local" && !options["max-file"]) ? {} : { files }),
    ...(attributes === undefined ? {} : { attributes }),
  };
}

function isDriver(name: string): name is LogSpec["driver"] {
  return Object.hasOwn(KNOWN, name);
}

function sizeOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "" || text === "-1") return undefined;
  const match = /^(\d{1,12})([kmg]?)i?b?$/i.exec(text);
  const bytes = match === null ? 0 : Number(match[1]) * (UNITS[match[2]?.toLowerCase() ?? ""] ?? 1);
  if (bytes > 0) return bytes;
  throw invalid(`invalid size: '${text}'`);
}

function compressOf({ compress = "false" }: LogOptions): boolean {
  const flag = flagOf(compress);
  if (flag !== undefined) return flag;
  throw invalid(`strconv.ParseBool: parsing ${JSON.stringify(compress)}: invalid syntax`);
}

function filesOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const files = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (files < 1) throw invalid("max-file cannot be less than 1");
  return Math.min(files, FILES_MAX);
}

function attributesOf(
  options: LogOptions,
  { labels, env, id, name, imageName }: LogSubject,
): Readonly<Record<string, string>> | undefined {
  const attributes: Record<string, string> = Object.create(null);
  const choose = (wanted: string | undefined, from: Readonly<Record<string, string>>): void => {
    for (const key of wanted?.split(",") ?? []) {
      const value = Object.hasOwn(from, key) ? from[key] : undefined;
      if (value !== undefined) attributes[key] = value;
    }
  };
  const match = (pattern: string | undefined, from: Readonly<Record<string, string>>): void => {
    if (!pattern) return;
    const expression = regExpOf(pattern);
    for (const [key, value] of Object.entries(from)) {
      if (expression.test(key)) attributes[key] = value;
    }
  };
  const variables = Object.fromEntries(
    env.map((each) => {
      const equals = each.indexOf("=");
      return equals < 0 ? [each, ""] : [each.slice(0, equals), each.slice(equals + 1)];
    }),
  );
  choose(options["labels"], labels);
  match(options["labels-regex"], labels);
  choose(options["env"], variables);
  match(options["env-regex"], variables);
  const { tag } = options;
  if (tag) {
    attributes["tag"] = tag
      .replace(/{{\s*\.ID\s*}}/g, id.slice(0, SHORT_ID))
      .replace(/{{\s*\.FullID\s*}}/g, id)
      .replace(/{{\s*\.Name\s*}}/g, name)
      .replace(/{{\s*\.ImageName\s*}}/g, imageName);
  }
  return Object.keys(attributes).length === 0 ? undefined : { ...attributes };
}

function regExpOf(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch {
    throw invalid(`invalid regular expression: ${pattern}`);
  }
}

function invalid(message: string): ContainerError {
  return new ContainerError("INVALID_OPTION", message);
}

/** The member of a record that holds it, if there is one. */
export function logMember(log: LogSpec | undefined): { readonly log?: LogSpec } {
  return log === undefined ? {} : { log };
}
