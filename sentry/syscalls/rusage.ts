import { Rusage } from "../abi/process-structs.ts";
import type { Usage } from "../kernel/usage.ts";
import { nsToTimeval } from "./timespec.ts";

/** A usage as getrusage(2) and wait4(2) store it. */
export function rusageBytes(usage: Usage): Uint8Array {
  return Rusage.bytes({
    utime: nsToTimeval(usage.userNs),
    stime: nsToTimeval(usage.systemNs),
    maxrss: Math.floor(usage.maxResidentBytes / 1024),
    ixrss: 0,
    idrss: 0,
    isrss: 0,
    minflt: usage.minorFaults,
    majflt: usage.majorFaults,
    nswap: 0,
    inblock: 0,
    oublock: 0,
    msgsnd: 0,
    msgrcv: 0,
    nsignals: 0,
    nvcsw: usage.voluntarySwitches,
    nivcsw: usage.involuntarySwitches,
  });
}
