/** What a guest process has used, wherever it has run so far. */
import { addUsage, NO_USAGE, type Usage } from "../kernel/usage.ts";
import type { Executor } from "./address-space.ts";
import type { ExecutorThread } from "./executor-thread.ts";
import {
  hostCpuNs,
  hostResidentBytes,
  hostState,
  ownThreadUsage,
  processUsage,
} from "./host-usage.ts";

type TidOf = (thread: ExecutorThread) => number | undefined;

/** All that the process in `executor` has used: before, in its past executors, and here. */
export function usedBy(executor: Executor, tidOf: TidOf): Usage {
  const { pid, past, hostedTid } = executor;
  if (pid === undefined) return past;
  if (hostedTid === undefined) return addUsage(past, processUsage(pid));
  // Memory is the whole process's: what it has grown since is put down to the guest.
  const grown = Math.max(0, hostResidentBytes(pid) - executor.residentBefore);
  return [...executor.space.threads()]
    .filter((thread) => thread.executor === executor)
    .map((thread) => hostedUsage(thread, tidOf))
    .reduce(addUsage, addUsage(past, { ...NO_USAGE, maxResidentBytes: grown }));
}

/** A thread is about to end. Of threads in our own process nobody else remembers what they used. */
export function rememberThread(thread: ExecutorThread, tidOf: TidOf): void {
  const { executor } = thread;
  if (executor.hostedTid === undefined) return;
  executor.past = addUsage(executor.past, hostedUsage(thread, tidOf));
}

/** CPU time of one thread in nanoseconds; 0 when it has none yet. */
export function cpuNsOf(thread: ExecutorThread, tidOf: TidOf): bigint {
  const { pid } = thread.executor;
  return pid === undefined ? 0n : hostCpuNs(`/proc/${pid}/task/${tidOf(thread) ?? pid}`);
}

/** Whether the host has put a thread to sleep. */
export function sleeps(thread: ExecutorThread, tidOf: TidOf): boolean {
  const { pid } = thread.executor;
  return pid !== undefined && /[SD]/.test(hostState(`/proc/${pid}/task/${tidOf(thread) ?? pid}`));
}

function hostedUsage(thread: ExecutorThread, tidOf: TidOf): Usage {
  const tid = tidOf(thread);
  return tid === undefined ? NO_USAGE : ownThreadUsage(tid);
}
