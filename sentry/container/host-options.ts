/** What a container may do and is given beyond the ordinary, from the words users say it in. */
import { lstatSync, realpathSync } from "node:fs";
import { fromText } from "../abi/bytes.ts";
import { CAPABILITY_NAMES } from "../abi/capability-names.ts";
import type { ContainerSpec, DeviceSpec, Mode, NetworkSpec } from "../spec.ts";
import { ContainerError } from "./errors.ts";
import { flagOf } from "./flag-word.ts";

/** Options as `docker run` has them; paths and names are text. */
export interface HostOptions {
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly privileged: boolean;
  readonly securityOpt: readonly string[];
  readonly domainname: string | undefined;
  /** 0: docker's default. */
  readonly shmBytes: number;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly devices: readonly DeviceWish[];
}

/** A device of the host, and what it is to be called in the container. */
export interface DeviceWish {
  readonly source: string;
  readonly target: string;
  /** Of `rwm`. */
  readonly permissions: string;
}

type HostSpec = Pick<
  ContainerSpec,
  "privileges" | "domainname" | "shmBytes" | "sysctls" | "devices"
>;

const DEFAULT_CAPABILITIES = [
  "CHOWN",
  "DAC_OVERRIDE",
  "FSETID",
  "FOWNER",
  "MKNOD",
  "NET_RAW",
  "SETGID",
  "SETUID",
  "SETFCAP",
  "SETPCAP",
  "NET_BIND_SERVICE",
  "SYS_CHROOT",
  "KILL",
  "AUDIT_WRITE",
];
const DOMAIN_LENGTH_MAX = 64;
const SYSCTLS_MAX = 256;
const DEVICES_MAX = 256;
/** Parameters that belong to a container rather than to the machine, as runc knows them. */
const IPC_SYSCTLS: ReadonlySet<string> = new Set(
  ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"].map(
    (name) => `kernel.${name}`,
  ),
);

/**
 * @param warnings gets what is asked for and cannot be had.
 * @throws {ContainerError} `INVALID_OPTION` in docker's words, `DEVICE_REFUSED`.
 */
export function hostSpec(
  options: HostOptions,
  { mode, network }: { readonly mode: Mode; readonly network: NetworkSpec },
  warnings: string[],
): HostSpec {
  const { domainname, shmBytes, sysctls, devices } = options;
  if (domainname !== undefined && domainname.length > DOMAIN_LENGTH_MAX) {
    throw invalid(`invalid domainname: ${domainname}`);
  }
  if (shmBytes < 0) throw invalid("SHM size can not be less than 0");
  const capabilities = capabilitiesOf(options);
  const noNewPrivileges = noNewPrivilegesOf(options.securityOpt, warnings);
  return {
    ...(capabilities === undefined && !noNewPrivileges
      ? {}
      : {
          privileges: { ...(capabilities === undefined ? {} : { capabilities }), noNewPrivileges },
        }),
    ...(domainname ? { domainname: fromText(domainname) } : {}),
    ...(shmBytes > 0 ? { shmBytes } : {}),
    ...sysctlSpec(sysctls, network),
    ...(devices.length === 0 ? {} : { devices: deviceSpecs(devices, mode) }),
  };
}

/** The bounding set by docker's rules for `--cap-add` and `--cap-drop`; undefined: docker's own. */
function capabilitiesOf({
  capAdd,
  capDrop,
  privileged,
}: HostOptions): readonly number[] | undefined {
  const adds = new Set(capAdd.map((name) => normal(name, "CapAdd")));
  const drops = new Set(capDrop.map((name) => normal(name, "CapDrop")));
  const numbers = (names: Iterable<string>): readonly number[] =>
    [...new Set(names)].map((name) => CAPABILITY_NAMES.indexOf(name)).sort((a, b) => a - b);
  if (privileged) return numbers(CAPABILITY_NAMES);
  if (adds.size === 0 && drops.size === 0) return undefined;
  const base = adds.has("ALL") ? CAPABILITY_NAMES : drops.has("ALL") ? [] : DEFAULT_CAPABILITIES;
  adds.delete("ALL");
  return numbers([...base.filter((name) => !drops.has(name)), ...adds]);
}

function normal(text: string, option: string): string {
  const name = text.trim().toUpperCase().replace(/^CAP_/, "");
  if (name === "ALL" || CAPABILITY_NAMES.includes(name)) return name;
  throw invalid(`invalid ${option}: unknown capability: "${text.toUpperCase()}"`);
}

/** Security options of our own, and words of docker's that stand alone. */
const OWN_OPTIONS: ReadonlySet<string> = new Set(["untrusted", "dd", "dd.egress"]);
const PLAIN_OPTIONS: ReadonlySet<string> = new Set(["disable", "writable-cgroups"]);

/** Of `--security-opt`; what belongs to others (`untrusted`, `dd.egress`) is theirs to judge. */
function noNewPrivilegesOf(options: readonly string[], warnings: string[]): boolean {
  let noNewPrivileges = false;
  for (const option of options) {
    // An equals sign divides, a colon only where there is none.
    const divided = option.includes("=") ? /^([^=]*)=(.*)$/s : /^([^:]*):(.*)$/s;
    const [, key = option, value] = divided.exec(option) ?? [];
    if (key === "no-new-privileges") noNewPrivileges = flagIn(value ?? "true", option);
    else if (OWN_OPTIONS.has(key) || (value === undefined && PLAIN_OPTIONS.has(key))) continue;
    else if (value === undefined)
      throw invalid(`invalid --security-opt 1: ${JSON.stringify(option)}`);
    else if (key === "writable-cgroups") flagIn(value, option);
    else if (key === "seccomp" && value !== "unconfined" && value !== "builtin") {
      warnings.push(
        "A seccomp profile has no effect here: every system call is answered by the container's own kernel.",
      );
    } else if (key === "apparmor" || key === "label" || key === "systempaths") {
      const off = value === "unconfined" || value === "disable";
      if (!off) warnings.push(`The security option ${key} has no effect here.`);
    } else if (key !== "seccomp") {
      throw invalid(`invalid --security-opt 2: ${JSON.stringify(option)}`);
    }
  }
  return noNewPrivileges;
}

function flagIn(word: string, option: string): boolean {
  const flag = flagOf(word);
  if (flag === undefined) throw invalid(`invalid --security-opt 2: ${JSON.stringify(option)}`);
  return flag;
}

function sysctlSpec(
  sysctls: Readonly<Record<string, string>>,
  network: NetworkSpec,
): Pick<HostSpec, "sysctls"> {
  const entries = Object.entries(sysctls);
  if (entries.length === 0) return {};
  if (entries.length > SYSCTLS_MAX) throw invalid("too many sysctls");
  for (const [name] of entries) {
    const isNet = name.startsWith("net.");
    if (!/^[a-z0-9_]+(?:[./][a-zA-Z0-9_-]+)+$/.test(name)) {
      throw invalid(`sysctl "${name}" is not a name`);
    }
    if (isNet && network.mode === "host") {
      throw invalid(`sysctl "${name}" not allowed in host network namespace`);
    }
    if (!isNet && !IPC_SYSCTLS.has(name) && !name.startsWith("fs.mqueue.")) {
      throw invalid(`sysctl "${name}" is not in a separate kernel namespace`);
    }
  }
  return {
    sysctls: Object.fromEntries(
      entries.map(([name, value]) => [name.replaceAll(".", "/"), fromText(value)]),
    ),
  };
}

function deviceSpecs(devices: readonly DeviceWish[], mode: Mode): readonly DeviceSpec[] {
  if (devices.length > DEVICES_MAX) throw invalid("too many devices");
  return devices.map(({ source, target, permissions }) => {
    if (!/^[rwm]{1,3}$/.test(permissions)) throw invalid(`invalid device mode: ${permissions}`);
    if (!target.startsWith("/") || target.includes("\0")) {
      throw invalid(`invalid device path: ${target}`);
    }
    let stat: ReturnType<typeof lstatSync>;
    let real: string;
    try {
      real = realpathSync(source);
      stat = lstatSync(real);
    } catch {
      throw new ContainerError(
        "DEVICE_REFUSED",
        `error gathering device information while adding custom device "${source}": no such file or directory`,
      );
    }
    if (!stat.isCharacterDevice() && !stat.isBlockDevice()) {
      throw new ContainerError(
        "DEVICE_REFUSED",
        `error gathering device information while adding custom device "${source}": not a device node`,
      );
    }
    if (mode === "untrusted" && !HARMLESS.has(stat.rdev)) {
      throw new ContainerError(
        "DEVICE_REFUSED",
        `the device ${source} cannot be given to an untrusted container`,
        "Untrusted code gets no device of the host",
      );
    }
    return {
      source: fromText(real),
      target: fromText(target),
      block: stat.isBlockDevice(),
      rdev: stat.rdev,
      mode: stat.mode & 0o777,
      readable: permissions.includes("r"),
      writable: permissions.includes("w"),
    };
  });
}

/** The memory devices that every container has: null, zero, full, random, urandom. See mem(4). */
const HARMLESS: ReadonlySet<number> = new Set([3, 5, 7, 8, 9].map((minor) => (1 << 8) | minor));

function invalid(message: string): ContainerError {
  return new ContainerError("INVALID_OPTION", message);
}
