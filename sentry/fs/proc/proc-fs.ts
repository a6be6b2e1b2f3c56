import type { ByteString } from "../../abi/bytes.ts";
import { ENOENT, type Errno } from "../../abi/errno.ts";
import { direntType, S_IFDIR } from "../../abi/file.ts";
import type { Actor } from "../../vfs/fs-context.ts";
import { type DirectoryEntry, FileSystem, type Inode, type Statfs } from "../../vfs/inode.ts";
import {
  FixedDirectory,
  LinkNode,
  TextNode,
  VirtualDirectory,
  type VirtualFs,
} from "../virtual/nodes.ts";
import type { SystemInfo } from "./info.ts";
import { numberName, processDirectory } from "./process-directory.ts";
import { sysctl } from "./sysctl.ts";
import { systemFiles } from "./system-files.ts";

const PROC_SUPER_MAGIC = 0x9fa0;
/** Directories of ended processes that may be remembered before they are looked for. */
const ENDED_MAX = 64;

/** `/proc` of a container. */
export class ProcFs extends FileSystem implements VirtualFs {
  readonly type = "proc";
  readonly root: Inode;
  /** Processes come and go without anybody making or removing a name. */
  override readonly cachesNames = false;
  readonly timeNs: bigint;
  #nextIno = 1;

  constructor(system: SystemInfo) {
    super();
    this.timeNs = system.bootTimeNs;
    this.root = new ProcRoot(this, system);
  }

  nextIno(): number {
    return this.#nextIno++;
  }

  statfs(): Statfs {
    const none = { blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 };
    return { type: PROC_SUPER_MAGIC, bsize: 4096, ...none };
  }
}

class ProcRoot extends VirtualDirectory {
  readonly #system: SystemInfo;
  readonly #fixed: FixedDirectory;
  /** Directories of processes, as long as those exist. */
  readonly #processes = new Map<
    number,
    { readonly started: bigint; readonly node: FixedDirectory }
  >();
  /** How many to have before those of ended processes are looked for again. */
  #enough = ENDED_MAX;

  constructor(fs: ProcFs, system: SystemInfo) {
    super(fs);
    this.#system = system;
    this.#fixed = new FixedDirectory(fs);
    for (const [name, text] of systemFiles(system)) this.#fixed.add(name, new TextNode(fs, text));
    this.#fixed.add("sys", sysctl(fs, system));
    this.#fixed.add(
      "self",
      link(fs, (actor) => String(actor.process.pid)),
    );
    this.#fixed.add(
      "thread-self",
      link(fs, (actor) => `${actor.process.pid}/task/${actor.tid}`),
    );
    this.#fixed.add(
      "mounts",
      link(fs, () => "self/mounts"),
    );
    this.#fixed.add(
      "net",
      link(fs, () => "self/net"),
    );
    this.#fixed.add("bus", new FixedDirectory(fs));
    this.#fixed.add("fs", new FixedDirectory(fs));
    this.#fixed.add("tty", new FixedDirectory(fs));
    const sysvipc = new FixedDirectory(fs);
    for (const name of ["shm", "sem", "msg"] as const) {
      sysvipc.add(name, new TextNode(fs, { read: () => system.ipcText(name) }));
    }
    this.#fixed.add("sysvipc", sysvipc);
  }

  override lookup(name: ByteString, actor: Actor): Inode | Errno {
    const pid = numberName(name);
    if (pid === undefined) return this.#fixed.lookup(name, actor);
    const process = this.#system.process(pid);
    if (process === undefined) {
      this.#forget(pid);
      return ENOENT;
    }
    const known = this.#processes.get(pid);
    if (known !== undefined && known.started === process.startTimeNs) return known.node;
    if (this.#processes.size >= this.#enough) this.#forgetEnded();
    const node = processDirectory(this.fs, this.#system, pid);
    this.#processes.set(pid, { started: process.startTimeNs, node });
    return node;
  }

  override *entries(actor: Actor): Generator<DirectoryEntry> {
    yield* this.#fixed.entries(actor);
    for (const { pid } of this.#system.processes()) {
      const known = this.#processes.get(pid);
      yield { name: String(pid), ino: known?.node.ino ?? pid, type: direntType(S_IFDIR) };
    }
  }

  /** Nobody tells when a process ends, and most directories are never asked for again. */
  #forgetEnded(): void {
    for (const pid of this.#processes.keys()) {
      if (this.#system.process(pid) === undefined) this.#forget(pid);
    }
    this.#enough = 2 * this.#processes.size + ENDED_MAX;
  }

  /** What is open in it lives on without a name. */
  #forget(pid: number): void {
    if (this.#processes.delete(pid)) this.fs.rootDentry.cached(String(pid))?.unhash();
  }
}

function link(fs: VirtualFs, text: (actor: Actor) => ByteString): LinkNode {
  return new LinkNode(fs, { text });
}
