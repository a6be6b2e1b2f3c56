/** Generated from ring/ring.fbs by `npm run gen`. Do not edit. */

/** First page of a ring mapping, written by the sentry (S) before anyone maps it and never read back. */
export const RingHeader = {
  size: 128,
  magic: 0,
  version: 4,
  slotCount: 8,
  queueCapacity: 12,
  queueOffset: 16,
  slotsOffset: 20,
  stagingOffset: 24,
  /** per slot */
  stagingSize: 28,
  /** the ring's bit in the doorbell */
  ringIndex: 32,
  /** where the queue's counters start */
  firstTicket: 36,
  reserved0: 40,
  /** E: tickets taken, a line of its own */
  tail: 64,
  reserved1: 68,
} as const;

/** One entry of the submission queue (E): (ticket + 1) << 32 | slot. */
export const QueueEntry = {
  size: 8,
  value: 0,
} as const;

/** One guest thread's slot: 256 bytes. */
export const Slot = {
  size: 256,
  nr: 0,
  /** bit i: what args[i] points at lies in the slot's staging area */
  stagedMask: 4,
  /** bytes of staging the sentry is to copy before it looks at them */
  stagedLength: 8,
  /** 1 while the thread sleeps on `done` */
  waiting: 12,
  args: 16,
  /** futex: 0 until the reply is complete */
  done: 64,
  /** see Verb in ring/protocol.h */
  verb: 68,
  result: 72,
  operands: 80,
  /** blocked guest signals */
  signalMask: 128,
  /** the host's id of the thread, in the executor's pid namespace */
  tid: 136,
  reserved2: 140,
  /** where, for each argument */
  stagedOffset: 144,
  reserved3: 160,
  /** guest signals pending for the thread, blocked ones included */
  pending: 192,
  /** 1: ask for a signal before running guest code again */
  attention: 200,
  reserved4: 204,
} as const;

/** The page all rings of a container share. */
export const Doorbell = {
  size: 640,
  /** futex: bumped (E) to wake a sleeping sentry */
  sequence: 0,
  reserved0: 4,
  /** S: 1 while the sentry sleeps on `sequence`, else it will look by itself */
  sleeping: 64,
  /** S: the CPU it polls on */
  cpu: 68,
  reserved1: 72,
  /** E: bit per ring that has work */
  pending: 128,
} as const;

/** One step of building a fresh address space; an array of them lies in slot 0's staging area. `flags` of PLAN_TRANSLATIONS is no mapping, but says that `fd` has translations of the file mapped before at `addr`. */
export const PlanStep = {
  size: 40,
  addr: 0,
  length: 8,
  offset: 16,
  prot: 24,
  /** MAP_* flags for the host */
  flags: 28,
  /** a descriptor of the executor, or -1 */
  fd: 32,
  reserved0: 36,
} as const;

/** What an executor knows of the addresses that are the guest's, in its own memory: OwnedHeader, then OwnedRange[count] by address and without overlaps. The sentry reads it for /proc. */
export const OwnedHeader = {
  size: 24,
  lock: 0,
  count: 4,
  /** odd while the ranges are being changed */
  sequence: 8,
  /** address of a CodeHeader that says what the guest may execute; 0: what the host may */
  code: 16,
} as const;

/** What a guest whose code is translated may execute: CodeHeader, then CodeRange[count] by address and without overlaps. The host may execute none of it. */
export const CodeHeader = {
  size: 16,
  /** odd while the ranges are being changed */
  version: 0,
  count: 4,
  /** address of a count, and so many guest addresses that were translated here, both ulong */
  made: 8,
} as const;

/**  */
export const CodeRange = {
  size: 16,
  begin: 0,
  end: 8,
} as const;

/** Addresses that the guest mapped. The sentry knows by the tag what. */
export const OwnedRange = {
  size: 32,
  begin: 0,
  end: 8,
  /** of `begin` in the mapping the tag was given to */
  offset: 16,
  tag: 24,
  reserved0: 28,
} as const;

/** A request to the launcher; its descriptors follow by SCM_RIGHTS: pidfds of processes to reap, and for one more executor ring, doorbell, files. */
export const LauncherRequest = {
  size: 40,
  /** what the executor shows when it attaches; 0: none is wanted */
  token: 0,
  reapCount: 8,
  fileCount: 12,
  stepCount: 16,
  /** not 0: the number of the answer that is wanted when all this has been done */
  answer: 20,
  name: 24,
} as const;

/** The launcher's word that the host would not let it start an executor; or an answer. */
export const LauncherReply = {
  size: 24,
  token: 0,
  /** the errno of fork(2) */
  error: 8,
  /** the answer's number, or 0 */
  answer: 12,
  /** an answer: how the last of the processes to reap ended, as wait(2) says it */
  status: 16,
  reserved0: 20,
} as const;

/** What a process that translates a file ahead is asked for; `pc_count` places in the file follow, each a uint. */
export const AheadRequest = {
  size: 24,
  /** of the file in the descriptor */
  offset: 0,
  length: 8,
  pcCount: 16,
} as const;

/** What the launcher tells the sentry once, before the first request. */
export const LauncherHello = {
  size: 72,
  /** the only addresses the runtime's own host calls come from */
  stubStart: 0,
  stubEnd: 8,
  vdso: 16,
  hwcap: 24,
  hwcap2: 32,
  minsigstksz: 40,
  clockTick: 44,
  /** the linker's digest of the launcher */
  build: 48,
  reserved0: 68,
} as const;

/** A submission as the sentry's private copy of it: an array of them is what one wait returns. */
export const Submission = {
  size: 88,
  ring: 0,
  slot: 4,
  nr: 8,
  stagedMask: 12,
  args: 16,
  stagedOffset: 64,
  /** of the copied staging bytes in the batch's payload */
  payloadOffset: 80,
  payloadLength: 84,
} as const;
