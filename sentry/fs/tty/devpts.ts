import type { ByteString } from "../../abi/bytes.ts";
import { EACCES, EIO, ENOENT, ENOSPC, Errno } from "../../abi/errno.ts";
import { direntType, makeDev, S_IFCHR } from "../../abi/file.ts";
import type { Reactor } from "../../host/reactor.ts";
import type { Actor } from "../../vfs/fs-context.ts";
import {
  type AttributeChange,
  type DirectoryEntry,
  FileSystem,
  type Inode,
  type Statfs,
} from "../../vfs/inode.ts";
import type { OpenFile } from "../../vfs/open-file.ts";
import type { SpecialFiles } from "../../vfs/special.ts";
import { VirtualDirectory, VirtualNode } from "../virtual/nodes.ts";
import type { JobControl } from "./job-control.ts";
import { openControllingTerminal, PTS_MAJOR, Pty, PtyMaster } from "./pty.ts";

const DEVPTS_MAGIC = 0x1cd1;
/** TTYAUX_MAJOR: /dev/tty is its minor 0, /dev/console 1, /dev/ptmx 2. */
const TTYAUX_MAJOR = 5;
/** Pseudoterminals of one container: NR_UNIX98_PTY_DEFAULT. */
const PTY_MAX = 4096;
/** The group that owns terminals, as docker mounts devpts: `gid=5`. */
const TTY_GROUP = 5;

/** `/dev/pts` of one container, and the drivers of its terminals. See pts(4). */
export class Devpts extends FileSystem {
  readonly type = "devpts";
  readonly root: VirtualDirectory;
  override readonly cachesNames = false;
  override readonly options = "gid=5,mode=620,ptmxmode=666";
  readonly timeNs: bigint = BigInt(Date.now()) * 1_000_000n;
  readonly ptys = new Map<number, { readonly pty: Pty; readonly node: DeviceNode }>();
  readonly ptmx: DeviceNode;
  readonly #reactor: Reactor;
  readonly #jobControl: JobControl;
  #special: SpecialFiles | undefined;
  #lastIno = 0;

  constructor(reactor: Reactor, jobControl: JobControl) {
    super();
    this.#reactor = reactor;
    this.#jobControl = jobControl;
    this.root = new PtsDirectory(this);
    const owner = { uid: 0, gid: 0 };
    this.ptmx = new DeviceNode(this, makeDev(TTYAUX_MAJOR, 2), 0o666, owner);
  }

  nextIno(): number {
    return ++this.#lastIno;
  }

  statfs(): Statfs {
    return { type: DEVPTS_MAGIC, bsize: 4096, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 };
  }

  /** Lets `/dev/ptmx`, `/dev/tty` and the slaves be opened. */
  register(special: SpecialFiles): void {
    special.registerCharacter(makeDev(TTYAUX_MAJOR, 2), (flags, _path, actor) =>
      this.openMaster(flags, actor),
    );
    special.registerCharacter(makeDev(TTYAUX_MAJOR, 0), (flags, _path, actor) =>
      openControllingTerminal(this.#jobControl, flags, actor),
    );
    this.#special = special;
  }

  #openSlave(index: number, flags: number, actor: Actor): OpenFile | Errno {
    return this.ptys.get(index)?.pty.openFor(flags, actor) ?? EIO;
  }

  /** A new pseudoterminal's master. @returns `ENOSPC` when there are too many. */
  openMaster(flags: number, actor: Pick<Actor, "credentials">): PtyMaster | Errno {
    let index = 0;
    while (this.ptys.has(index)) index++;
    if (index >= PTY_MAX) return ENOSPC;
    const { fsuid } = actor.credentials;
    const owner = { uid: fsuid, gid: TTY_GROUP };
    const node = new DeviceNode(this, makeDev(PTS_MAJOR, index), 0o620, owner);
    const pty = new Pty(index, {
      reactor: this.#reactor,
      jobControl: this.#jobControl,
      stat: () => node.stat(),
      released: () => this.ptys.delete(index),
    });
    this.ptys.set(index, { pty, node });
    this.#special?.registerCharacter(pty.rdev, (slaveFlags, _path, opener) =>
      this.#openSlave(index, slaveFlags, opener),
    );
    return new PtyMaster(pty, flags, () => this.ptmx.stat());
  }

  /**
   * A terminal for a program that is started from outside.
   * @returns its master, and one slave for each standard stream.
   */
  openTerminal(
    actor: Pick<Actor, "credentials">,
    size: { readonly rows: number; readonly cols: number },
    flags: number,
  ): { readonly master: PtyMaster; readonly slave: OpenFile } | Errno {
    const master = this.openMaster(flags, actor);
    if (master instanceof Errno) return master;
    master.pty.locked = false;
    master.pty.winsize = { row: size.rows, col: size.cols, xpixel: 0, ypixel: 0 };
    const slave = master.openPeer(flags);
    if (slave instanceof Errno) {
      master.close();
      return slave;
    }
    return { master, slave };
  }
}

/** A character device in `/dev/pts`; its owner and permissions can be changed. */
class DeviceNode extends VirtualNode {
  readonly #rdev: number;
  #mode: number;
  #owner: { uid: number; gid: number };

  constructor(
    fs: Devpts,
    rdev: number,
    permissions: number,
    owner: { readonly uid: number; readonly gid: number },
  ) {
    super(fs, S_IFCHR | permissions, () => this.#owner);
    this.#rdev = rdev;
    this.#mode = permissions;
    this.#owner = { ...owner };
  }

  override get rdev(): number {
    return this.#rdev;
  }

  override stat(): ReturnType<VirtualNode["stat"]> {
    return { ...super.stat(), rdev: this.#rdev, mode: S_IFCHR | this.#mode };
  }

  override setattr(change: AttributeChange): Errno | undefined {
    if (change.mode !== undefined) this.#mode = change.mode & 0o7777;
    if (change.uid !== undefined) this.#owner.uid = change.uid;
    if (change.gid !== undefined) this.#owner.gid = change.gid;
    return undefined;
  }

  override open(): Errno {
    return EACCES;
  }
}

class PtsDirectory extends VirtualDirectory {
  readonly #devpts: Devpts;

  constructor(fs: Devpts) {
    super(fs, 0o755);
    this.#devpts = fs;
  }

  override lookup(name: ByteString): Inode | Errno {
    if (name === "ptmx") return this.#devpts.ptmx;
    const index = /^(0|[1-9][0-9]{0,6})$/.test(name) ? Number(name) : -1;
    const known = this.#devpts.ptys.get(index);
    // The name goes with the master; the number stays taken while a slave is open.
    return known === undefined || known.pty.hungUp ? ENOENT : known.node;
  }

  override *entries(): Generator<DirectoryEntry> {
    const type = direntType(S_IFCHR);
    yield { name: "ptmx", ino: this.#devpts.ptmx.ino, type };
    for (const [index, { pty, node }] of this.#devpts.ptys) {
      if (pty.hungUp) continue;
      yield { name: String(index), ino: node.ino, type };
    }
  }
}
