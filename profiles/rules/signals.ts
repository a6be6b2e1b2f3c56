import type { Rule } from "../model.ts";

/** What an executor needs so that signals can be delivered to its own threads. */
export const signalRules: readonly Rule[] = [
  {
    name: "signal-frames",
    why: "The return from a handler; the frame is the caller's own memory and registers.",
    calls: [{ call: "rt_sigreturn", when: [] }],
  },
  {
    name: "signal-mask",
    why:
      "Critical sections of the runtime. A guest that masks SIGSYS is killed by the next call that " +
      "the filter traps.",
    calls: [{ call: "rt_sigprocmask", when: [] }],
  },
  {
    name: "signal-stack",
    why: "Each new thread needs its alternate stack; per-thread state of the caller only.",
    calls: [{ call: "sigaltstack", when: [] }],
  },
  {
    name: "signal-self",
    why: "macOS: abort and pthread_kill inside the executor. Other processes stay out of reach.",
    operations: [{ name: "signal", filter: ["target", { symbol: "self" }] }],
  },
];
