import { VfsFile } from "../vfs/file.ts";
import type { Inode } from "../vfs/inode.ts";
import type { PidNamespace } from "./pid-namespace.ts";

/**
 * Whether a process has the file open for writing: then it cannot be executed. See ETXTBSY in execve(2).
 * Programs are executed far less often than files are opened, so the open files are asked, not counted.
 */
export function isOpenForWriting(inode: Inode, pids: PidNamespace): boolean {
  for (const process of pids.processes()) {
    for (const task of process.tasks) {
      for (const { file } of task.files.entries()) {
        if (!file.writable || !(file instanceof VfsFile)) continue;
        if (file.inode === inode) return true;
      }
    }
  }
  return false;
}
