import { type ByteString, fromText } from "../abi/bytes.ts";
import { ContainerError } from "./errors.ts";

/** Who a process runs as. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  readonly home: ByteString;
}

/** Of passwd(5) and group(5), which come from images: bytes read, lines looked at, groups taken. */
export const ACCOUNT_FILE_BYTES_MAX = 1 << 20;
const LINES_MAX = 20_000;
const GROUPS_MAX = 1024;
/** As runc: ids above are refused, whatever the kernel would take. */
const ID_MAX = 2 ** 31 - 1;

interface Account {
  readonly name: ByteString;
  readonly uid: number;
  readonly gid: number;
  readonly home: ByteString;
}

interface Group {
  readonly name: ByteString;
  readonly gid: number;
  readonly members: readonly ByteString[];
}

/**
 * Finds the user a process is to run as, by docker's rules: names and numbers are looked up in the
 * container's own files; numbers need not be there; an explicit group excludes supplementary groups.
 * @param wanted `user`, `uid`, `user:group`, `uid:gid`, `:group`; empty is uid 0.
 * @param passwd content of /etc/passwd, empty when there is none; hostile.
 * @param group content of /etc/group, likewise.
 * @throws {ContainerError} `NO_SUCH_USER` in docker's words.
 */
export function resolveUser(wanted: string, passwd: Uint8Array, group: Uint8Array): User {
  const colon = wanted.indexOf(":");
  const userPart = colon < 0 ? wanted : wanted.slice(0, colon);
  const groupPart = colon < 0 ? "" : wanted.slice(colon + 1);

  for (const part of [userPart, groupPart]) {
    if (!/^-?\d+$/.test(part) || idOf(part) !== undefined) continue;
    throw new ContainerError("NO_SUCH_USER", `uids and gids must be in range 0-${ID_MAX}`);
  }
  const accounts = lines(passwd).flatMap(parseAccount);
  const account = accounts.find(
    ({ name, uid }) =>
      name === fromText(userPart) || uid === (userPart === "" ? 0 : idOf(userPart)),
  );
  const uid = account?.uid ?? (userPart === "" ? 0 : idOf(userPart));
  if (uid === undefined) {
    throw new ContainerError(
      "NO_SUCH_USER",
      `unable to find user ${userPart}: no matching entries in passwd file`,
      "Use a number, or a name of the image's /etc/passwd",
    );
  }
  const groups = lines(group).flatMap(parseGroup);
  const home = account === undefined || account.home === "" ? "/" : account.home;
  if (groupPart !== "") {
    const named = groups.find(
      ({ name, gid }) => name === fromText(groupPart) || gid === idOf(groupPart),
    );
    const gid = named?.gid ?? idOf(groupPart);
    if (gid === undefined) {
      throw new ContainerError(
        "NO_SUCH_USER",
        `unable to find group ${groupPart}: no matching entries in group file`,
        "Use a number, or a name of the image's /etc/group",
      );
    }
    return { uid, gid, groups: [], home };
  }
  const supplementary = groups
    .filter(({ members }) => account !== undefined && members.includes(account.name))
    .map(({ gid }) => gid);
  return {
    uid,
    gid: account?.gid ?? 0,
    groups: [...new Set(supplementary)].slice(0, GROUPS_MAX),
    home,
  };
}

/**
 * The numbers of groups that a process is to be in as well.
 * @param wanted names, or numbers, which need not be in the file.
 * @param group content of /etc/group; hostile.
 * @throws {ContainerError} `NO_SUCH_USER` in docker's words.
 */
export function resolveGroups(wanted: readonly string[], group: Uint8Array): readonly number[] {
  if (wanted.length === 0) return [];
  const groups = lines(group).flatMap(parseGroup);
  return wanted.map((text) => {
    const gid = groups.find(({ name }) => name === fromText(text))?.gid ?? idOf(text);
    if (gid !== undefined) return gid;
    throw new ContainerError("NO_SUCH_USER", `Unable to find group ${text}`);
  });
}

/** A decimal id in range, or undefined. */
function idOf(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= ID_MAX ? Number(text) : undefined;
}

function lines(file: Uint8Array): readonly ByteString[] {
  return Buffer.from(file.subarray(0, ACCOUNT_FILE_BYTES_MAX))
    .toString("latin1")
    .split("\n", LINES_MAX);
}

/** Lines that are malformed are skipped, as getpwent(3) does. */
function parseAccount(line: ByteString): Account[] {
  const [name = "", , uidText = "", gidText = "", , home = ""] = line.trim().split(":", 7);
  const uid = idOf(uidText);
  const gid = idOf(gidText);
  if (name === "" || name.startsWith("#") || uid === undefined || gid === undefined) return [];
  return [{ name, uid, gid, home }];
}

function parseGroup(line: ByteString): Group[] {
  const [name = "", , gidText = "", members = ""] = line.trim().split(":", 4);
  const gid = idOf(gidText);
  if (name === "" || name.startsWith("#") || gid === undefined) return [];
  return [{ name, gid, members: members.split(",") }];
}
