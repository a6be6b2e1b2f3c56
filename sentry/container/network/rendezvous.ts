import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ENOENT, Errno } from "../../abi/errno.ts";
import { ipBytes, isV4, parseIp } from "../../abi/ip.ts";
import { RecordLock } from "../../host/record-lock.ts";
import { listenMessages } from "../../host/unix-stream.ts";
import type { NetworkMember, NetworkPeers } from "../../spec.ts";
import type { Directories } from "../directories.ts";
import { ContainerError } from "../errors.ts";
import { readJson } from "../json-file.ts";

/** Of the id, in paths: those of sockets have at most 107 bytes. */
const ID_LENGTH = 12;
const BACKLOG = 4096;
const MKDIR_TRIES = 16;
/** Members of one network. */
const MEMBERS_MAX = 65_536;

/**
 * The directory where the sentries of one network's running containers find each other: for each a socket
 * called like its address, with `ADDRESS.json` beside it that says who it is. The directory is the user's
 * alone, so an address cannot be claimed by others; changes are made under the network's lock.
 */
export class Rendezvous implements NetworkPeers {
  readonly directory: string;
  private readonly directories: Directories;
  private readonly lockPath: string;
  private cache:
    | { readonly mtimeMs: number; readonly members: readonly NetworkMember[] }
    | undefined;

  constructor(directories: Directories, networkId: string, lockPath: string) {
    this.directories = directories;
    this.directory = join(directories.run, "n", networkId.slice(0, ID_LENGTH));
    this.lockPath = lockPath;
  }

  /** Runs a section during which nobody joins or leaves. @throws {ContainerError} `NO_SUCH_NETWORK`. */
  underLock<T>(section: () => T): T {
    let lock: RecordLock;
    try {
      lock = RecordLock.acquire(this.lockPath);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new ContainerError("NO_SUCH_NETWORK", "The network was removed meanwhile");
    }
    try {
      return section();
    } finally {
      lock.release();
    }
  }

  /** Those whose sentries live. */
  members(): readonly NetworkMember[] {
    return this.all().filter((member) => this.isAlive(member));
  }

  named(name: string): readonly NetworkMember[] {
    const wanted = name.toLowerCase();
    return this.all().filter(
      (member) =>
        member.names.some((each) => each.toLowerCase() === wanted) && this.isAlive(member),
    );
  }

  at(ip: string): NetworkMember | undefined {
    return readJson<NetworkMember>(join(this.directory, `${keyOf(ip)}.json`));
  }

  socketPath(ip: string): string {
    return join(this.directory, keyOf(ip));
  }

  /**
   * Makes a member known, under the lock.
   * @returns its listening socket; undefined for one without an address.
   */
  register(member: NetworkMember): number | undefined {
    const key = memberKey(member);
    let fd: number | Errno | undefined;
    for (let i = 0; i < MKDIR_TRIES; i++) {
      // Whoever leaves another network as its last may just be removing the directory above.
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      fd = member.ipv4 === "" ? undefined : listenMessages(join(this.directory, key), BACKLOG);
      if (fd !== ENOENT) break;
    }
    if (fd instanceof Errno) {
      throw new Error(`The socket of ${member.ipv4} in ${this.directory} failed: ${fd.text}`);
    }
    if (fd !== undefined) chmodSync(join(this.directory, key), 0o600);
    this.update(member);
    if (member.ipv6 !== "") {
      const alias = keyOf(member.ipv6.split("/")[0] ?? "");
      symlinkSync(key, join(this.directory, alias));
      symlinkSync(`${key}.json`, join(this.directory, `${alias}.json`));
    }
    return fd;
  }

  /** Says who a member is, or says it anew when it was renamed. */
  update(member: NetworkMember): void {
    const key = memberKey(member);
    const temporary = join(this.directory, `.${key}.new`);
    writeFileSync(temporary, JSON.stringify(member), { mode: 0o600 });
    renameSync(temporary, join(this.directory, `${key}.json`));
  }

  remove(member: NetworkMember): void {
    const keys = [memberKey(member)];
    if (member.ipv6 !== "") keys.push(keyOf(member.ipv6.split("/")[0] ?? ""));
    for (const key of keys) {
      rmSync(join(this.directory, `${key}.json`), { force: true });
      rmSync(join(this.directory, key), { force: true });
    }
    if (removeIfEmpty(this.directory)) removeIfEmpty(dirname(this.directory));
  }

  /** Takes out those whose sentries were killed, under the lock. */
  sweep(): void {
    for (const member of this.all()) if (!this.isAlive(member)) this.remove(member);
  }

  private isAlive({ containerId }: NetworkMember): boolean {
    try {
      const lock = join(this.directories.root, "containers", containerId, "lock");
      return RecordLock.holder(lock) !== undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
  }

  private all(): readonly NetworkMember[] {
    try {
      const { mtimeMs } = statSync(this.directory);
      // Of two changes in one tick of the clock, the second could go unnoticed.
      const settled = Date.now() - mtimeMs > 100;
      if (settled && this.cache?.mtimeMs === mtimeMs) return this.cache.members;
      const members = readdirSync(this.directory)
        .filter((name) => /^[0-9].*\.json$|^c-.*\.json$/.test(name))
        .slice(0, MEMBERS_MAX)
        .flatMap((name) => this.readMember(name) ?? []);
      this.cache = { mtimeMs, members };
      return members;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  private readMember(name: string): NetworkMember | undefined {
    try {
      return JSON.parse(readFileSync(join(this.directory, name), "utf8")) as NetworkMember;
    } catch {
      // It has left just now.
      return undefined;
    }
  }
}

/** @returns whether the directory is gone. */
function removeIfEmpty(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch {
    // Others are there, or were faster.
    return false;
  }
}

/** How an address is written in file names: an IPv6 address is too long for a path of a socket otherwise. */
function keyOf(address: string): string {
  const ip = parseIp(address);
  if (ip === undefined) throw new Error(`${address} is no address`);
  return isV4(ip) ? address : `x${Buffer.from(ipBytes(ip)).toString("hex")}`;
}

/** A member without an address, such as on the host's network, is kept by its id. */
function memberKey({ ipv4, containerId }: NetworkMember): string {
  return ipv4 === "" ? `c-${containerId.slice(0, ID_LENGTH)}` : keyOf(ipv4.split("/")[0] ?? "");
}
