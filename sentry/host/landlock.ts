/** Giving up the right to host files one does not need. See landlock(7). */
import type { ByteString } from "../abi/bytes.ts";
import { Errno } from "../abi/errno.ts";
import { call } from "./call.ts";
import { closeFd, HOST_O, openHostPath } from "./fs.ts";

const RULE_PATH_BENEATH = 1;
const PR_SET_NO_NEW_PRIVS = 38;

/** What is denied from now on unless a rule allows it: bits of `struct landlock_ruleset_attr`. */
export interface LandlockHandled {
  readonly filesystem: bigint;
  readonly network: bigint;
  readonly scoped: bigint;
}

/** Rights on one host path and everything beneath it. */
export interface LandlockGrant {
  readonly path: ByteString;
  readonly rights: bigint;
}

/**
 * Restricts the calling thread, and the threads and processes it starts from now on, for good. Also sets
 * no_new_privs. A path that does not exist is no right to anything.
 * @returns the host's error, with the step that failed; then the caller must not go on.
 */
export function restrictSelf(
  handled: LandlockHandled,
  grants: readonly LandlockGrant[],
): { readonly step: string; readonly errno: Errno } | undefined {
  const attributes = new BigUint64Array([handled.filesystem, handled.network, handled.scoped]);
  const ruleset = call("landlock_create_ruleset", attributes, attributes.byteLength, 0);
  if (ruleset instanceof Errno) return { step: "landlock_create_ruleset", errno: ruleset };
  try {
    for (const grant of grants) {
      const fd = openHostPath(grant.path, HOST_O.PATH);
      if (fd instanceof Errno) continue;
      const rule = new Uint8Array(12);
      const view = new DataView(rule.buffer);
      view.setBigUint64(0, grant.rights, true);
      view.setInt32(8, fd, true);
      const added = call("landlock_add_rule", ruleset, RULE_PATH_BENEATH, rule, 0);
      closeFd(fd);
      if (added instanceof Errno) return { step: `landlock_add_rule ${grant.path}`, errno: added };
    }
    const privileges = call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (privileges instanceof Errno) return { step: "no_new_privs", errno: privileges };
    const done = call("landlock_restrict_self", ruleset, 0);
    if (done instanceof Errno) return { step: "landlock_restrict_self", errno: done };
    return undefined;
  } finally {
    closeFd(ruleset);
  }
}
