import type { Process } from "./process.ts";

/**
 * A process is to end with the given wait status. Its threads run no more guest code once the machine has
 * confirmed it; only then does its parent learn of it.
 */
export function exitGroup(process: Process, status: number): void {
  if (process.state !== "running") return;
  process.state = "exiting";
  process.exitStatus = status;
  process.stop = undefined;
  if (process.isInit) process.kernel.ending = true;
  for (const task of process.tasks) {
    task.exited = true;
    task.interruptCall();
  }
  const { machine } = process.kernel;
  process.usage = machine.usage?.(process) ?? process.usage;
  machine.kill(process);
}
