/** Structures of System V IPC, named as in C. `<linux/sem.h>`, `<linux/msg.h>`, `<linux/shm.h>` */
import type { Isa } from "./numbers.ts";
import { i16, i32, i64, type Struct, struct, u16, u32, u64 } from "./struct.ts";

/** `struct ipc64_perm`. */
const IpcPerm = struct({
  key: i32,
  uid: u32,
  gid: u32,
  cuid: u32,
  cgid: u32,
  mode: u32,
  seq: u16,
  pad: u16,
  unused1: u64,
  unused2: u64,
});
type Perm = ReturnType<typeof IpcPerm.parse>;

/** `struct sembuf`. */
export const Sembuf = struct({ number: u16, change: i16, flags: i16 });

/** What `struct semid64_ds` says on either instruction set. */
export interface SemidDs {
  readonly perm: Perm;
  readonly otime: number;
  readonly ctime: number;
  readonly nsems: number;
}

const SemidDsX86 = struct({
  perm: IpcPerm,
  otime: i64,
  unused1: u64,
  ctime: i64,
  unused2: u64,
  nsems: u64,
  unused3: u64,
  unused4: u64,
});
const SemidDsGeneric = struct({
  perm: IpcPerm,
  otime: i64,
  ctime: i64,
  nsems: u64,
  unused3: u64,
  unused4: u64,
});
const NONE = { unused1: 0, unused2: 0, unused3: 0, unused4: 0 };

/** `struct semid64_ds`: x86-64 has room beside its times. */
export const SEMID_DS: Readonly<
  Record<Isa, Pick<Struct<SemidDs>, "size" | "parse"> & { bytes(value: SemidDs): Uint8Array }>
> = {
  x86_64: { ...SemidDsX86, bytes: (value) => SemidDsX86.bytes({ ...value, ...NONE }) },
  arm64: { ...SemidDsGeneric, bytes: (value) => SemidDsGeneric.bytes({ ...value, ...NONE }) },
};

/** `struct seminfo`. */
export const Seminfo = struct({
  semmap: i32,
  semmni: i32,
  semmns: i32,
  semmnu: i32,
  semmsl: i32,
  semopm: i32,
  semume: i32,
  semusz: i32,
  semvmx: i32,
  semaem: i32,
});

/** `struct msqid64_ds`. */
export const MsqidDs = struct({
  perm: IpcPerm,
  stime: i64,
  rtime: i64,
  ctime: i64,
  cbytes: u64,
  qnum: u64,
  qbytes: u64,
  lspid: i32,
  lrpid: i32,
  unused4: u64,
  unused5: u64,
});

/** `struct msginfo`. */
export const Msginfo = struct({
  msgpool: i32,
  msgmap: i32,
  msgmax: i32,
  msgmnb: i32,
  msgmni: i32,
  msgssz: i32,
  msgtql: i32,
  msgseg: u16,
});

/** `struct shmid64_ds`. */
export const ShmidDs = struct({
  perm: IpcPerm,
  segsz: u64,
  atime: i64,
  dtime: i64,
  ctime: i64,
  cpid: i32,
  lpid: i32,
  nattch: u64,
  unused4: u64,
  unused5: u64,
});

/** `struct shminfo64`. */
export const Shminfo = struct({
  shmmax: u64,
  shmmin: u64,
  shmmni: u64,
  shmseg: u64,
  shmall: u64,
  unused1: u64,
  unused2: u64,
  unused3: u64,
  unused4: u64,
});

/** `struct shm_info`. */
export const ShmInfo = struct({
  usedIds: i32,
  shmTot: u64,
  shmRss: u64,
  shmSwp: u64,
  swapAttempts: u64,
  swapSuccesses: u64,
});

/** The `ipc_perm` of an object. */
export function ipcPerm(object: {
  readonly key: number;
  readonly uid: number;
  readonly gid: number;
  readonly cuid: number;
  readonly cgid: number;
  readonly mode: number;
  readonly sequence: number;
}): Perm {
  const { key, uid, gid, cuid, cgid, mode, sequence } = object;
  return { key, uid, gid, cuid, cgid, mode, seq: sequence, pad: 0, unused1: 0, unused2: 0 };
}
