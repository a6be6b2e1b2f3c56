import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

const NAME = /^([0-9]{1,10})-[0-9a-f]{16}$/;

/** Where a build keeps what is gone with it: contexts, secrets, what a step changes. */
export class WorkDirectory {
  readonly path: string;
  #count = 0;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Makes one below `parent`, and removes those of processes that have died.
   * @param parent host directory, made if it is missing
   */
  static async make(parent: string): Promise<WorkDirectory> {
    await mkdir(parent, { recursive: true, mode: 0o700 });
    for (const name of await readdir(parent)) {
      const [, pid] = NAME.exec(name) ?? [];
      if (pid !== undefined && !isAlive(Number(pid))) {
        await rm(join(parent, name), { recursive: true, force: true });
      }
    }
    const path = join(parent, `${process.pid}-${randomBytes(8).toString("hex")}`);
    await mkdir(path, { mode: 0o700 });
    return new WorkDirectory(path);
  }

  /** A path in it where nothing is yet. */
  fresh(what: string): string {
    return join(this.path, `${what}-${this.#count++}`);
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
