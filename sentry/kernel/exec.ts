import type { Errno } from "../abi/errno.ts";
import { SIGCHLD } from "../abi/signal.ts";
import { dropTask } from "./exit.ts";
import type { LoadedProgram } from "./load-program.ts";
import type { Task } from "./task.ts";

/**
 * Makes `task`'s process run another program: the second half of execve(2).
 * @returns the machine's error if it cannot be started; then nothing has changed.
 */
export function execProgram(task: Task, loaded: LoadedProgram): Errno | undefined {
  const { process, kernel } = task;
  const { image, program, credentials, secure } = loaded;
  const error = kernel.machine.exec(task, image);
  if (error !== undefined) {
    for (const file of program.files) file.close();
    return error;
  }
  becomeOnlyThread(task);
  if (task.files.shared) {
    const own = task.files.copy();
    task.files.leave();
    task.files = own;
  }
  task.files.closeOnExec();
  process.actions = process.actions.copy();
  process.actions.resetHandlers();
  process.timers.onExec();
  process.ipc.detachAll();
  process.replaceProgram(program);
  process.executed = true;
  process.exitSignal = SIGCHLD;
  process.dumpable = secure ? 0 : 1;
  if (secure) process.parentDeathSignal = 0;
  task.credentials = credentials;
  task.name = image.name;
  task.awaited = 0n;
  task.signalsChanged();
  return undefined;
}

/** The machine has ended all other threads; the survivor takes over the process's id. */
function becomeOnlyThread(task: Task): void {
  const { process, kernel } = task;
  for (const other of [...process.tasks]) if (other !== task) dropTask(other);
  const { leader } = process;
  if (leader === task) return;
  if (leader !== undefined) kernel.pids.removeTask(leader.tid);
  kernel.pids.removeTask(task.tid);
  task.tid = process.pid;
  process.leader = task;
  kernel.pids.addTask(task);
}
