import test from "ava";
import { EAGAIN, ECHILD, EINVAL, EPERM, ESRCH } from "../../../sentry/abi/errno.ts";
import { World } from "./fake-machine.ts";

test("a child that exits is a zombie until wait4 has told its status", (t) => {
  const world = new World();
  const child = world.fork(world.init);
  t.is(child.task.process.pid, 2);
  child.call("exit_group", 7);
  world.settle();
  t.is(child.task.process.state, "zombie");
  const status = world.init.memory.place(4);
  t.is(world.init.call("wait4", -1, status, 0, 0), 2);
  t.is(world.init.memory.i32(status), 7 << 8);
  t.is(world.kernel.pids.process(2), undefined);
  t.is(world.init.call("wait4", -1, status, 0, 0), ECHILD);
});

test("wait4 waits for a child, WNOHANG does not", (t) => {
  const world = new World();
  const child = world.fork(world.init);
  t.is(world.init.call("wait4", -1, 0, 1, 0), 0);
  t.is(world.init.call("wait4", -1, 0, 0, 0), undefined);
  child.call("exit_group", 0);
  world.settle();
  t.is(world.init.result, 2);
});

test("a process ends with its last thread and with that thread's code", (t) => {
  const world = new World();
  const leader = world.fork(world.init);
  const second = world.spawn(leader);
  leader.call("exit", 3);
  world.settle();
  t.is(leader.task.process.state, "running");
  t.is(world.kernel.pids.process(2), leader.task.process);
  second.call("exit", 4);
  world.settle();
  const status = world.init.memory.place(4);
  t.is(world.init.call("wait4", 2, status, 0, 0), 2);
  t.is(world.init.memory.i32(status), 4 << 8);
  t.is(world.kernel.pids.taskCount, 1);
});

test("orphans become children of pid 1, or of the nearest subreaper", (t) => {
  const world = new World();
  const reaper = world.fork(world.init);
  reaper.call("prctl", 36, 1);
  const middle = world.fork(reaper);
  const orphan = world.fork(middle);
  middle.call("exit_group", 0);
  world.settle();
  t.is(orphan.task.process.parent, reaper.task.process);
  reaper.call("exit_group", 0);
  world.settle();
  t.is(orphan.task.process.parent, world.init.task.process);
});

test("the container ends with pid 1: what is left is killed, and then the end is told", (t) => {
  const world = new World();
  const child = world.fork(world.init);
  const ends: number[] = [];
  world.kernel.onEnd((status) => ends.push(status));
  world.init.call("exit_group", 5);
  t.deepEqual(ends, []);
  world.settle();
  t.true(child.ended);
  t.deepEqual(ends, [5 << 8]);
  t.is(world.kernel.pids.taskCount, 0);
});

test("clone answers EAGAIN at the limit of tasks", (t) => {
  const world = new World({ maxTasks: 2 });
  const child = world.fork(world.init);
  t.is(world.init.call("fork"), EAGAIN);
  child.call("exit_group", 0);
  world.settle();
  t.is(world.init.call("fork"), EAGAIN, "a zombie still counts");
  world.init.call("wait4", -1, 0, 0, 0);
  t.is(world.fork(world.init).task.tid, 3);
});

test("a child that the host refuses has never existed", (t) => {
  const world = new World();
  world.machine.refuseClones = true;
  world.init.call("fork");
  world.settle();
  t.is(world.kernel.pids.taskCount, 1);
  t.is(world.init.task.process.children.size, 0);
  t.is(world.init.call("wait4", -1, 0, 0, 0), ECHILD);
});

test("clone refuses flags that do not go together, and namespaces", (t) => {
  const world = new World();
  t.is(world.init.call("clone", 0x10000, 0, 0, 0, 0), EINVAL);
  t.is(world.init.call("clone", 0x800, 0, 0, 0, 0), EINVAL);
  t.is(world.init.call("clone", 0x10000000 | 17, 0, 0, 0, 0), EPERM);
});

test("an executor that dies by itself ends its process as by a signal", (t) => {
  const world = new World();
  const child = world.fork(world.init);
  world.machine.events.processGone(child.task.process, { violation: "A slot changed under us" });
  const status = world.init.memory.place(4);
  t.is(world.init.call("wait4", -1, status, 0, 0), 2);
  t.is(world.init.memory.i32(status), 9);
  t.regex(world.logged.join("\n"), /A slot changed under us/);
});

test("waitid with WNOWAIT leaves the zombie, and P_PIDFD waits for a descriptor's process", (t) => {
  const world = new World();
  const child = world.fork(world.init);
  const pidfd = world.init.call("pidfd_open", child.task.tid, 0);
  child.call("exit_group", 9);
  world.settle();
  const info = world.init.memory.place(128);
  t.is(world.init.call("waitid", 3, pidfd as number, info, 4 | 0x1000000, 0), 0);
  t.is(world.init.memory.i32(info + 12 + 4), child.task.tid, "si_pid");
  t.is(world.init.memory.i32(info + 24), 9, "si_status");
  t.is(child.task.process.state, "zombie");
  t.is(world.init.call("waitid", 1, child.task.tid, info, 4, 0), 0);
  t.is(child.task.process.state, "dead");
  t.is(world.init.call("waitid", 1, 0, info, 4, 0), EINVAL);
  t.is(world.init.call("wait4", -0x80000000, 0, 0, 0), ESRCH);
});

test("ids are not given twice, and begin again at 300 after the highest", async (t) => {
  const { PidNamespace } = await import("../../../sentry/kernel/pid-namespace.ts");
  const pids = new PidNamespace(Number.POSITIVE_INFINITY, 310);
  const first = Array.from({ length: 309 }, () => pids.allocate());
  t.is(first[308], 309);
  t.is(pids.allocate(), 300);
});

test("each call, signal and end is a line of the trace", (t) => {
  const world = new World();
  const child = world.fork(world.init);
  child.call("wait4", -1, 0, 0, 0);
  child.call("exit_group", 1);
  world.settle();
  t.deepEqual(world.trace, [
    "[1] fork() = 2",
    "[2] wait4(-1, 0x0, 0x0, 0x0) = -1 ECHILD (No child processes)",
    "[2] exit_group(1) = ?",
    "[2] +++ exited with 1 +++",
  ]);
});
