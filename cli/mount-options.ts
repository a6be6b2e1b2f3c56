import { posix, resolve } from "node:path";
import type { MountRequest } from "../sentry/container/mounts.ts";
import { checkName } from "../sentry/container/names.ts";
import { usageError } from "./errors.ts";
import { parseBytes } from "./sizes.ts";

/** Options of -v that change nothing here: labels of SELinux, caches of other systems, propagation. */
const IGNORED_MODES = new Set([
  ...["z", "Z", "cached", "delegated", "consistent"],
  ...["private", "rprivate", "shared", "rshared", "slave", "rslave"],
]);

/**
 * `-v`: `DST`, `SRC:DST` or `SRC:DST:OPTIONS`; SRC is a path when it begins with "/" or ".", else a name.
 * @throws {CliError} `USAGE` in docker's words.
 */
export function parseVolume(text: string, cwd: string): MountRequest {
  const parts = text.split(":");
  if (parts.length > 3 || parts.includes("")) {
    throw usageError(`invalid volume specification: '${text}'`, "It is SRC:DST or SRC:DST:ro");
  }
  const [first = "", second, modes = ""] = parts;
  if (second === undefined) {
    return {
      kind: "volume",
      name: undefined,
      target: target(first),
      readOnly: false,
      copyUp: true,
    };
  }
  let readOnly = false;
  let copyUp = true;
  for (const mode of modes === "" ? [] : modes.split(",")) {
    if (mode === "ro") readOnly = true;
    else if (mode === "nocopy") copyUp = false;
    else if (mode !== "rw" && !IGNORED_MODES.has(mode)) throw usageError(`invalid mode: ${mode}`);
  }
  if (/^[/.]/.test(first)) {
    const source = resolve(cwd, first);
    return { kind: "bind", source, target: target(second), readOnly, create: true };
  }
  checkName("volume", first);
  return { kind: "volume", name: first, target: target(second), readOnly, copyUp };
}

const MOUNT_KEYS: Readonly<Record<string, string>> = {
  type: "type",
  source: "source",
  src: "source",
  target: "target",
  destination: "target",
  dst: "target",
  readonly: "readonly",
  ro: "readonly",
  "volume-nocopy": "nocopy",
  "volume-subpath": "subpath",
  "tmpfs-size": "size",
  "tmpfs-mode": "mode",
  "bind-propagation": "ignored",
  "bind-recursive": "ignored",
  consistency: "ignored",
};

/** `--mount`: `type=bind,source=...,target=...,readonly`. @throws {CliError} `USAGE`. */
export function parseMount(text: string, cwd: string): MountRequest {
  const fields = new Map<string, string>();
  for (const field of text.split(",")) {
    const equals = field.indexOf("=");
    const spelled = (equals < 0 ? field : field.slice(0, equals)).trim().toLowerCase();
    const key = Object.hasOwn(MOUNT_KEYS, spelled) ? MOUNT_KEYS[spelled] : undefined;
    if (key === undefined) {
      throw usageError(
        `unexpected key '${spelled}' in '${field}'`,
        "Example: --mount type=bind,source=/data,target=/data,readonly",
      );
    }
    if (equals < 0 && key !== "readonly" && key !== "nocopy") {
      throw usageError(`invalid field '${field}' must be a key=value pair`);
    }
    fields.set(key, equals < 0 ? "true" : field.slice(equals + 1));
  }
  const switched = (key: string): boolean => {
    const value = fields.get(key) ?? "false";
    if (!/^(true|false|1|0)$/.test(value)) throw usageError(`invalid value for ${key}: ${value}`);
    return value === "true" || value === "1";
  };
  const type = fields.get("type") ?? "volume";
  const source = fields.get("source");
  const at = fields.get("target");
  if (at === undefined || at === "") throw usageError("target is required", `In --mount ${text}`);
  const common = { target: target(at), readOnly: switched("readonly") };
  switch (type) {
    case "bind":
      if (source === undefined || source === "") {
        throw usageError('invalid mount config for type "bind": field Source must not be empty');
      }
      return { kind: "bind", source: resolve(cwd, source), ...common, create: false };
    case "volume":
      if (source) checkName("volume", source);
      return {
        kind: "volume",
        name: source || undefined,
        ...common,
        copyUp: !switched("nocopy"),
        ...(fields.has("subpath") ? { subpath: fields.get("subpath") } : {}),
      };
    case "tmpfs": {
      const size = fields.get("size");
      const mode = fields.get("mode");
      return {
        kind: "tmpfs",
        ...common,
        sizeBytes: size === undefined ? undefined : parseBytes(size, "tmpfs-size"),
        mode: mode === undefined ? undefined : parseMode(mode),
        noexec: true,
      };
    }
    default:
      throw usageError(`mount type "${type}" is not known`, "It is bind, volume or tmpfs");
  }
}

const TMPFS_SWITCHES = new Set(["rw", "suid", "nosuid", "dev", "nodev"]);

/** `--tmpfs`: `DST` or `DST:OPTIONS`. @throws {CliError} `USAGE`. */
export function parseTmpfs(text: string): MountRequest {
  const [at = "", options = "", ...rest] = text.split(":");
  if (rest.length > 0) throw usageError(`invalid tmpfs specification: '${text}'`);
  let readOnly = false;
  // As docker: no programs, unless that is asked for.
  let noexec = true;
  let sizeBytes: number | undefined;
  let mode: number | undefined;
  for (const option of options === "" ? [] : options.split(",")) {
    const [key = "", value] = option.split("=", 2);
    if (option === "ro") readOnly = true;
    else if (option === "noexec" || option === "exec") noexec = option === "noexec";
    else if (key === "size" && value !== undefined) sizeBytes = parseBytes(value, "tmpfs size");
    else if (key === "mode" && value !== undefined) mode = parseMode(value);
    else if (!TMPFS_SWITCHES.has(option)) throw usageError(`invalid tmpfs option ["${option}"]`);
  }
  return { kind: "tmpfs", target: target(at), readOnly, sizeBytes, mode, noexec };
}

function parseMode(text: string): number {
  if (!/^[0-7]{1,5}$/.test(text)) throw usageError(`invalid file mode "${text}"`, "Example: 1777");
  return Number.parseInt(text, 8) & 0o7777;
}

function target(path: string): string {
  if (!path.startsWith("/") || path.includes("\0")) {
    throw usageError(`invalid mount path: '${path}' mount path must be absolute`);
  }
  const normal = posix.normalize(path).replace(/(?<=.)\/$/, "");
  if (normal === "/") throw usageError("invalid specification: destination can't be '/'");
  return normal;
}
