import { CLONE, FUTEX } from "../constants.ts";
import { int, isOneOf, long, type Rule } from "../model.ts";

/** Threads, forks, waiting and ending of an executor. */
export const taskRules: readonly Rule[] = [
  {
    name: "futex",
    why:
      "Waiting on and waking the ring and the guest's private futexes: words of the caller's own " +
      "memory. Operations with ownership (PI, robust) or requeueing are left out.",
    calls: [
      {
        call: "futex",
        when: [
          isOneOf(
            int(1, "op"),
            [FUTEX.FUTEX_WAIT, FUTEX.FUTEX_WAKE, FUTEX.FUTEX_WAIT_BITSET, FUTEX.FUTEX_WAKE_BITSET],
            [FUTEX.FUTEX_PRIVATE_FLAG, FUTEX.FUTEX_CLOCK_REALTIME],
          ),
        ],
      },
    ],
  },
  {
    name: "yield",
    why: "Fair spinning on the ring; no effect beyond the scheduler.",
    calls: [{ call: "sched_yield", when: [] }],
  },
  {
    name: "clone",
    why:
      "Guest threads and forks are host threads and forks, which inherit the filter, the domain and " +
      "the namespaces and are counted by the process limit. Flags must equal one of the listed " +
      "values, so no new namespace, tracing or shared descriptor table can be asked for; clone3 hides " +
      "its flags in memory and is not allowed.",
    calls: [{ call: "clone", when: [isOneOf(long(0, "flags"), Object.values(CLONE))] }],
    operations: [{ name: "process-fork" }],
  },
  {
    name: "exit",
    why: "The end of a thread and of a process; only the caller's own.",
    calls: [
      { call: "exit", when: [] },
      { call: "exit_group", when: [] },
    ],
  },
];
