/** Changing user and group ids: credentials(7). All functions return the new credentials, or why not. */
import { EINVAL, EPERM, type Errno } from "../abi/errno.ts";
import { CAP_SETGID, CAP_SETUID, isCapable } from "../vfs/credentials.ts";
import { afterFsuidChange, afterUidChange, type TaskCredentials } from "./capabilities.ts";

/** An id argument that leaves the id as it is: `(uid_t) -1`. */
export const UNCHANGED = 0xffff_ffff;

type Ids = readonly [real: number, effective: number, saved: number];

function uids({ ruid, euid, suid }: TaskCredentials): Ids {
  return [ruid, euid, suid];
}

function gids({ rgid, egid, sgid }: TaskCredentials): Ids {
  return [rgid, egid, sgid];
}

function withUids(old: TaskCredentials, [ruid, euid, suid]: Ids): TaskCredentials {
  return afterUidChange(old, { ...old, ruid, euid, suid, fsuid: euid });
}

function withGids(old: TaskCredentials, [rgid, egid, sgid]: Ids): TaskCredentials {
  return { ...old, rgid, egid, sgid, fsgid: egid };
}

/** setuid(2) and setgid(2) on the three ids: a privileged caller changes all. @returns `EPERM`. */
function setOne(old: Ids, id: number, privileged: boolean): Ids | Errno {
  if (privileged) return [id, id, id];
  const [real, , saved] = old;
  return id === real || id === saved ? [real, id, saved] : EPERM;
}

/** setreuid(2) and setregid(2). @returns `EPERM`. */
function setRealEffective(
  old: Ids,
  real: number,
  effective: number,
  privileged: boolean,
): Ids | Errno {
  const [oldReal, oldEffective, oldSaved] = old;
  const newReal = real === UNCHANGED ? oldReal : real;
  const newEffective = effective === UNCHANGED ? oldEffective : effective;
  if (!privileged) {
    if (newReal !== oldReal && newReal !== oldEffective) return EPERM;
    if (![oldReal, oldEffective, oldSaved].includes(newEffective)) return EPERM;
  }
  const follows = real !== UNCHANGED || (effective !== UNCHANGED && newEffective !== oldReal);
  return [newReal, newEffective, follows ? newEffective : oldSaved];
}

/** setresuid(2) and setresgid(2). @returns `EPERM`. */
function setAll(old: Ids, wanted: Ids, privileged: boolean): Ids | Errno {
  if (!privileged && wanted.some((id) => id !== UNCHANGED && !old.includes(id))) return EPERM;
  const pick = (id: number, was: number) => (id === UNCHANGED ? was : id);
  return [pick(wanted[0], old[0]), pick(wanted[1], old[1]), pick(wanted[2], old[2])];
}

function isIds(ids: Ids | Errno): ids is Ids {
  return Array.isArray(ids);
}

/** See setuid(2). @returns `EINVAL` for -1, `EPERM`. */
export function setuid(old: TaskCredentials, uid: number): TaskCredentials | Errno {
  if (uid === UNCHANGED) return EINVAL;
  const ids = setOne(uids(old), uid, isCapable(old, CAP_SETUID));
  return isIds(ids) ? withUids(old, ids) : ids;
}

/** See setgid(2). @returns `EINVAL` for -1, `EPERM`. */
export function setgid(old: TaskCredentials, gid: number): TaskCredentials | Errno {
  if (gid === UNCHANGED) return EINVAL;
  const ids = setOne(gids(old), gid, isCapable(old, CAP_SETGID));
  return isIds(ids) ? withGids(old, ids) : ids;
}

/** See setreuid(2). @returns `EPERM`. */
export function setreuid(
  old: TaskCredentials,
  ruid: number,
  euid: number,
): TaskCredentials | Errno {
  const ids = setRealEffective(uids(old), ruid, euid, isCapable(old, CAP_SETUID));
  return isIds(ids) ? withUids(old, ids) : ids;
}

/** See setregid(2). @returns `EPERM`. */
export function setregid(
  old: TaskCredentials,
  rgid: number,
  egid: number,
): TaskCredentials | Errno {
  const ids = setRealEffective(gids(old), rgid, egid, isCapable(old, CAP_SETGID));
  return isIds(ids) ? withGids(old, ids) : ids;
}

/** See setresuid(2). @returns `EPERM`. */
export function setresuid(old: TaskCredentials, wanted: Ids): TaskCredentials | Errno {
  const ids = setAll(uids(old), wanted, isCapable(old, CAP_SETUID));
  return isIds(ids) ? withUids(old, ids) : ids;
}

/** See setresgid(2). @returns `EPERM`. */
export function setresgid(old: TaskCredentials, wanted: Ids): TaskCredentials | Errno {
  const ids = setAll(gids(old), wanted, isCapable(old, CAP_SETGID));
  return isIds(ids) ? withGids(old, ids) : ids;
}

/** See setfsuid(2): what is not allowed changes nothing. */
export function setfsuid(old: TaskCredentials, fsuid: number): TaskCredentials {
  const allowed =
    fsuid !== UNCHANGED &&
    ([...uids(old), old.fsuid].includes(fsuid) || isCapable(old, CAP_SETUID));
  return allowed ? afterFsuidChange(old, { ...old, fsuid }) : old;
}

/** See setfsgid(2): what is not allowed changes nothing. */
export function setfsgid(old: TaskCredentials, fsgid: number): TaskCredentials {
  const allowed =
    fsgid !== UNCHANGED &&
    ([...gids(old), old.fsgid].includes(fsgid) || isCapable(old, CAP_SETGID));
  return allowed ? { ...old, fsgid } : old;
}
