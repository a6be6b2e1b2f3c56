/** The numbers of ring/protocol.h, for the sentry's side. A test compares the two files. */

/** What a reply asks of the executor; see `Verb` in ring/protocol.h for the operands of each. */
export const Verb = {
  return: 0,
  enter: 1,
  thread: 2,
  fork: 3,
  vfork: 4,
  exitThread: 5,
  exitGroup: 6,
  mapFile: 7,
  signal: 8,
} as const;

/** Calls of the runtime itself, beside Linux's numbers. */
export const RuntimeCall = {
  start: 0x10000,
  signalRequest: 0x10001,
  fault: 0x10002,
  cloneFailed: 0x10003,
  planFailed: 0x10004,
  attached: 0x10005,
  lease: 0x10006,
  softEvents: 0x10007,
} as const;

/** What the designated host call says in its first register. */
export const Attach = { executor: 1, fork: 2, vfork: 3, file: 4 } as const;

/** Ranges an address space may consist of: `kOwnedLimit`. */
export const OWNED_LIMIT = 65530;
/** Tags of ranges that are no file's: `kTagAnonymous` and `kTagHeap`. Step i of a plan has tag i + 1. */
export const TAG_ANONYMOUS = 0;
export const TAG_HEAP = 0xffffffff;

/** `flags` of a step that is no mapping: `kPlanTranslations`. */
export const PLAN_TRANSLATIONS = 0x80000000;

/** Threads per address space, and bytes of staging per thread. */
export const SLOT_COUNT = 1024;
export const STAGING_SIZE = 65536;

/** The host signal that interrupts guest code: `kSigkick` in guest/native/abi.h. */
export const SIGKICK = 62;

/** `SignalFrame` in ring/protocol.h. */
export const SIGNAL_FRAME = {
  size: 168,
  handler: 0,
  flags: 8,
  restorer: 16,
  mask: 24,
  signo: 32,
  info: 40,
} as const;

/** What a slot's `tid` is once its thread has heard that it is to end: `kThreadGone`. */
export const THREAD_GONE = 0xffffffff;

/** Signals of instructions that fault: SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS. */
export const FAULTS: ReadonlySet<number> = new Set([4, 5, 7, 8, 11, 31]);
