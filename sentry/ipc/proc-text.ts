/** The tables of `/proc/sysvipc`, column by column as Linux prints them. See proc(5). */
import type { ByteString } from "../abi/bytes.ts";
import type { IpcNamespace } from "./namespace.ts";

type Cell = readonly [width: number, value: number];

function row(cells: readonly Cell[], mode: number): string {
  const texts = cells.map(([width, value]) => String(value).padStart(width));
  texts.splice(2, 0, ` ${mode.toString(8).padStart(4)}`);
  return `${texts.join(" ")}\n`;
}

/** `/proc/sysvipc/shm`. */
export function segmentText({ segments }: IpcNamespace): ByteString {
  const header =
    "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid" +
    "      atime      dtime      ctime                   rss                  swap\n";
  const rows = segments.all().map((segment) => {
    const { key, id, mode, size, cpid, lpid, attachments, uid, gid, cuid, cgid } = segment;
    const { atime, dtime, ctime } = segment;
    const owners: readonly Cell[] = [uid, gid, cuid, cgid].map((value) => [5, value] as const);
    const times: readonly Cell[] = [atime, dtime, ctime].map((value) => [10, value] as const);
    const sizes: readonly Cell[] = [
      [21, size],
      [5, cpid],
      [5, lpid],
      [6, attachments],
    ];
    return row([[10, key], [10, id], ...sizes, ...owners, ...times, [21, 0], [21, 0]], mode);
  });
  return header + rows.join("");
}

/** `/proc/sysvipc/sem`. */
export function semaphoreText({ semaphores }: IpcNamespace): ByteString {
  const header =
    "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n";
  const rows = semaphores.all().map((set) => {
    const { key, id, mode, values, uid, gid, cuid, cgid, otime, ctime } = set;
    const owners: readonly Cell[] = [uid, gid, cuid, cgid].map((value) => [5, value] as const);
    const sizes: readonly Cell[] = [
      [10, key],
      [10, id],
      [10, values.length],
    ];
    return row([...sizes, ...owners, [10, otime], [10, ctime]], mode);
  });
  return header + rows.join("");
}

/** `/proc/sysvipc/msg`. */
export function messageText({ queues }: IpcNamespace): ByteString {
  const header =
    "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid" +
    "      stime      rtime      ctime\n";
  const rows = queues.all().map((queue) => {
    const { key, id, mode, bytes, messages, lspid, lrpid, uid, gid, cuid, cgid } = queue;
    const people = [lspid, lrpid, uid, gid, cuid, cgid].map((value) => [5, value] as const);
    const times = [queue.stime, queue.rtime, queue.ctime].map((value) => [10, value] as const);
    const sizes: readonly Cell[] = [
      [11, bytes],
      [10, messages.length],
    ];
    return row([[10, key], [10, id], ...sizes, ...people, ...times], mode);
  });
  return header + rows.join("");
}
