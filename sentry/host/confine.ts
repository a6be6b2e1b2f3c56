/** The sentry confines itself: from then on it opens nothing but what its profile lists. */
import { ConfinementRefused } from "../../profiles/linux/report.ts";
import {
  encodePathRule,
  encodeRuleset,
  type SentryConfinement,
} from "../../profiles/linux/sentry.ts";
import { native } from "../../ring/native.ts";
import { cstring } from "../abi/bytes.ts";
import { ENOENT, ENOSYS, Errno, errnoOf } from "../abi/errno.ts";
import { call } from "./call.ts";
import { AT_FDCWD, HOST_O } from "./fs.ts";

const CREATE_RULESET_VERSION = 1;
const RULE_PATH_BENEATH = 1;
const STAT_MODE_OFFSET = process.arch === "arm64" ? 16 : 24;
const STAT_BYTES_MAX = 256;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/**
 * Drops all capabilities but those of the profile and enters the sentry's Landlock domain, for good, with
 * every thread of the process and all that they start later. Each thread is in a domain of its own:
 * only the thread that calls this, and starts the launcher afterwards, can reach an executor's memory.
 * A listed path that does not exist is left out. The children of a confined process cannot change
 * mounts: see profiles/README.md for the order of a start.
 * @throws ConfinementRefused
 */
export function confineSelf(confinement: SentryConfinement): void {
  const abi = must(
    "asking for the Landlock ABI",
    call("landlock_create_ruleset", null, 0, CREATE_RULESET_VERSION),
  );
  // An ABI that is too old cannot express the ruleset: the same as none.
  if (abi < confinement.ruleset.abi) must(`Landlock ABI ${abi} is too old`, ENOSYS);
  const attributes = encodeRuleset(confinement.ruleset);
  const ruleset = must(
    "creating the Landlock ruleset",
    call("landlock_create_ruleset", attributes, attributes.length, 0),
  );
  try {
    for (const { path, directoryRights, fileRights } of confinement.grants) {
      const fd = call("openat", AT_FDCWD, cstring(path), HOST_O.PATH | HOST_O.CLOEXEC, 0);
      if (fd === ENOENT) continue;
      const beneath = must(`opening ${JSON.stringify(path)}`, fd);
      try {
        const rights = isDirectory(beneath) ? directoryRights : fileRights;
        must(
          `granting ${JSON.stringify(path)}`,
          call("landlock_add_rule", ruleset, RULE_PATH_BENEATH, encodePathRule(rights, beneath), 0),
        );
      } finally {
        call("close", beneath);
      }
    }
    const restricted = native.restrictThreads(ruleset, confinement.capabilities);
    must("dropping privileges", restricted < 0 ? errnoOf(-restricted) : restricted);
  } finally {
    call("close", ruleset);
  }
}

function isDirectory(fd: number): boolean {
  const stat = new Uint8Array(STAT_BYTES_MAX);
  must("fstat", call("fstat", fd, stat));
  const mode = new DataView(stat.buffer).getUint32(STAT_MODE_OFFSET, true);
  return (mode & S_IFMT) === S_IFDIR;
}

function must(what: string, result: number | Errno): number {
  if (result instanceof Errno) throw new ConfinementRefused("sentry", result, what);
  return result;
}
