import test from "ava";
import { EAGAIN, EINTR, EINVAL, EPERM, ESRCH } from "../../../sentry/abi/errno.ts";
import { Sigaction } from "../../../sentry/abi/process-structs.ts";
import {
  bit,
  SA_NOCLDSTOP,
  SA_NOCLDWAIT,
  SA_NODEFER,
  SA_RESETHAND,
  SA_RESTART,
  SIG_DFL,
  SIG_IGN,
  SIGALRM,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
  SIGINT,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
  SIGTERM,
  SIGTSTP,
  SIGUSR1,
  SIGUSR2,
  SIGXCPU,
} from "../../../sentry/abi/signal.ts";
import { initialCredentials } from "../../../sentry/kernel/capabilities.ts";
import { sendToProcess } from "../../../sentry/kernel/send-signal.ts";
import { fromKernel } from "../../../sentry/kernel/siginfo.ts";
import { NO_USAGE } from "../../../sentry/kernel/usage.ts";
import { type FakeThread, World } from "./fake-machine.ts";

const HANDLER = 0x4000;
const NS_PER_S = 1_000_000_000n;

function onSignal(
  thread: FakeThread,
  signo: number,
  handler = HANDLER,
  flags = 0,
  mask = 0n,
): void {
  const act = thread.memory.place(Sigaction.bytes({ handler, flags, restorer: 0x5000, mask }));
  if (thread.call("rt_sigaction", signo, act, 0, 8) !== 0) throw new Error("rt_sigaction failed");
}

/** A child of pid 1, which unlike pid 1 has default actions. */
function childOf(world: World): FakeThread {
  return world.fork(world.init);
}

const signals = (thread: FakeThread) => thread.handled.map(({ signo }) => signo);

test("a handler runs with the siginfo of who sent the signal", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, SIGUSR1, HANDLER, SA_RESTART, bit(SIGUSR2));
  t.is(world.init.call("kill", child.task.tid, SIGUSR1), 0);
  world.settle();
  const [delivery] = child.handled;
  t.is(delivery?.handler, HANDLER);
  t.is(delivery?.mask, bit(SIGUSR2));
  const info = new DataView((delivery?.info ?? new Uint8Array(0)).buffer);
  t.deepEqual([info.getInt32(0, true), info.getInt32(8, true)], [SIGUSR1, 0]);
  t.deepEqual([info.getInt32(16, true), info.getUint32(20, true)], [1, 0], "si_pid, si_uid");
});

test("standard signals coalesce while blocked, real-time signals queue in order", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, SIGUSR1, HANDLER, SA_NODEFER);
  onSignal(child, 40, HANDLER, SA_NODEFER);
  child.setMask(bit(SIGUSR1) | bit(40));
  for (let i = 0; i < 3; i++) {
    world.init.call("kill", child.task.tid, SIGUSR1);
    world.init.call("kill", child.task.tid, 40);
  }
  world.settle();
  t.deepEqual(child.handled, []);
  const set = child.memory.place(8);
  child.call("rt_sigpending", set, 8);
  t.is(child.memory.i64(set), bit(SIGUSR1) | bit(40));
  child.setMask(0n);
  world.settle();
  t.deepEqual(signals(child), [SIGUSR1, 40, 40, 40]);
});

test("a signal ends a wait: EINTR without SA_RESTART, a restart with it", (t) => {
  const world = new World();
  const child = childOf(world);
  childOf(world);
  const parent = child;
  world.fork(parent);
  onSignal(parent, SIGUSR1);
  onSignal(parent, SIGUSR2, HANDLER, SA_RESTART);
  t.is(parent.call("wait4", -1, 0, 0, 0), undefined);
  world.init.call("kill", parent.task.tid, SIGUSR1);
  world.settle();
  t.is(parent.result, EINTR);
  t.is(parent.call("wait4", -1, 0, 0, 0), undefined);
  world.init.call("kill", parent.task.tid, SIGUSR2);
  world.settle();
  t.is(parent.result, undefined);
  t.is(parent.restarts, 1);
});

test("an ignored signal interrupts nothing", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, SIGUSR1, SIG_IGN);
  world.fork(child);
  child.call("wait4", -1, 0, 0, 0);
  world.init.call("kill", child.task.tid, SIGUSR1);
  world.settle();
  t.is(child.restarts, 0);
  t.is(child.result, undefined);
});

test("nanosleep that is stopped and continued goes on with the time it had left", (t) => {
  const world = new World();
  const child = childOf(world);
  const time = child.memory.place(16);
  child.memory.bytes.writeBigInt64LE(10n, time - 0x10000);
  t.is(child.call("nanosleep", time, 0), undefined);
  world.reactor.advance(6n * NS_PER_S);
  world.init.call("kill", child.task.tid, SIGSTOP);
  world.settle();
  t.true(child.task.process.stop?.complete);
  world.reactor.advance(NS_PER_S);
  world.init.call("kill", child.task.tid, SIGCONT);
  world.settle();
  t.is(child.restarts, 1);
  world.reactor.advance(3n * NS_PER_S - 1n);
  t.is(child.result, undefined);
  world.reactor.advance(1n);
  t.is(child.result, 0);
});

test("nanosleep that a handler interrupts is EINTR and tells the time left", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, SIGUSR1, HANDLER, SA_RESTART);
  const time = child.memory.place(16);
  const left = child.memory.place(16);
  child.memory.bytes.writeBigInt64LE(10n, time - 0x10000);
  child.call("nanosleep", time, left);
  world.reactor.advance(4n * NS_PER_S);
  world.init.call("kill", child.task.tid, SIGUSR1);
  world.settle();
  t.is(child.result, EINTR);
  t.is(child.memory.i64(left), 6n);
  // A new sleep is not the old one.
  child.mask = 0n;
  child.call("nanosleep", time, left);
  world.reactor.advance(10n * NS_PER_S - 1n);
  t.is(child.result, undefined);
  world.reactor.advance(1n);
  t.is(child.result, 0);
});

test("default actions: terminate, stop, ignore", (t) => {
  const world = new World();
  const doomed = childOf(world);
  world.init.call("kill", doomed.task.tid, SIGTERM);
  world.settle();
  t.is(doomed.task.process.state, "zombie");
  t.is(doomed.task.process.exitStatus, SIGTERM);
  const other = childOf(world);
  world.init.call("kill", other.task.tid, SIGCHLD);
  world.settle();
  t.is(other.task.process.state, "running");
});

test("wait4 tells of stops with WUNTRACED and of continuation with WCONTINUED, once each", (t) => {
  const world = new World();
  const child = childOf(world);
  const status = world.init.memory.place(4);
  world.init.call("kill", child.task.tid, SIGSTOP);
  world.settle();
  t.is(world.init.call("wait4", -1, status, 1, 0), 0, "not without WUNTRACED");
  t.is(world.init.call("wait4", -1, status, 1 | 2, 0), 2);
  t.is(world.init.memory.i32(status), (SIGSTOP << 8) | 0x7f);
  t.is(world.init.call("wait4", -1, status, 1 | 2, 0), 0);
  world.init.call("kill", child.task.tid, SIGCONT);
  world.settle();
  t.is(world.init.call("wait4", -1, status, 1 | 8, 0), 2);
  t.is(world.init.memory.i32(status), 0xffff);
  t.is(world.init.call("wait4", -1, status, 1 | 8, 0), 0);
});

test("all threads of a process stop, and only then the parent is told", (t) => {
  const world = new World();
  const leader = childOf(world);
  const second = world.spawn(leader);
  onSignal(world.init, SIGCHLD);
  sendToProcess(leader.task.process, fromKernel(SIGSTOP));
  world.settle();
  t.true(leader.task.process.stop?.complete);
  t.truthy(leader.task.resume);
  t.truthy(second.task.resume);
  t.deepEqual(signals(world.init), [SIGCHLD]);
});

test("SA_NOCLDSTOP keeps SIGCHLD for ends", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(world.init, SIGCHLD, HANDLER, SA_NOCLDSTOP);
  world.init.call("kill", child.task.tid, SIGSTOP);
  world.settle();
  t.deepEqual(world.init.handled, []);
  world.init.call("kill", child.task.tid, SIGKILL);
  world.settle();
  t.deepEqual(signals(world.init), [SIGCHLD]);
});

test("SIGCONT discards pending stops, and a stop signal discards a pending SIGCONT", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, SIGCONT);
  child.setMask(bit(SIGTSTP) | bit(SIGCONT));
  world.init.call("kill", child.task.tid, SIGTSTP);
  t.true(child.task.process.pending.has(SIGTSTP));
  world.init.call("kill", child.task.tid, SIGCONT);
  t.false(child.task.process.pending.has(SIGTSTP));
  t.true(child.task.process.pending.has(SIGCONT));
  world.init.call("kill", child.task.tid, SIGTSTP);
  t.false(child.task.process.pending.has(SIGCONT));
});

test("a SIGCONT handler runs when a stopped process continues, and a wait it interrupts is EINTR", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, SIGCONT);
  child.call("pause");
  world.init.call("kill", child.task.tid, SIGSTOP);
  world.settle();
  world.init.call("kill", child.task.tid, SIGCONT);
  world.settle();
  t.deepEqual(signals(child), [SIGCONT]);
  t.is(child.result, EINTR);
});

test("SIGTSTP does not stop an orphaned group, SIGSTOP does", (t) => {
  const world = new World();
  const child = childOf(world);
  child.call("setsid");
  world.init.call("kill", child.task.tid, SIGTSTP);
  world.settle();
  t.is(child.task.process.stop, undefined);
  world.init.call("kill", child.task.tid, SIGSTOP);
  world.settle();
  t.true(child.task.process.stop?.complete);
});

test("a group that becomes orphaned while a member is stopped gets SIGHUP and SIGCONT", (t) => {
  const world = new World();
  const shell = childOf(world);
  shell.call("setsid");
  const job = world.fork(shell);
  job.call("setpgid", 0, 0);
  onSignal(job, SIGHUP);
  onSignal(job, SIGCONT);
  world.init.call("kill", job.task.tid, SIGTSTP);
  world.settle();
  t.true(job.task.process.stop?.complete, "its shell could continue it");
  shell.call("exit_group", 0);
  world.settle();
  t.deepEqual(signals(job).sort(), [SIGHUP, SIGCONT].sort());
});

test("pid 1 is immune to what it has no handler for, even from outside but for SIGKILL", (t) => {
  const world = new World();
  const child = childOf(world);
  child.call("kill", 1, SIGTERM);
  child.call("kill", 1, SIGKILL);
  child.call("kill", 1, SIGSTOP);
  sendToProcess(world.init.task.process, fromKernel(SIGTERM), { outside: true });
  world.settle();
  t.is(world.init.task.process.state, "running");
  onSignal(world.init, SIGTERM);
  child.call("kill", 1, SIGTERM);
  world.settle();
  t.deepEqual(signals(world.init), [SIGTERM]);
  sendToProcess(world.init.task.process, fromKernel(SIGKILL), { outside: true });
  world.settle();
  t.is(world.init.task.process.state, "dead");
});

test("children of a parent that ignores SIGCHLD, or has SA_NOCLDWAIT, leave no zombies", (t) => {
  const world = new World();
  for (const flags of [0, SA_NOCLDWAIT]) {
    onSignal(world.init, SIGCHLD, flags === 0 ? SIG_IGN : HANDLER, flags);
    const child = childOf(world);
    child.call("exit_group", 0);
    world.settle();
    t.is(child.task.process.state, "dead");
  }
  t.deepEqual(signals(world.init), [SIGCHLD], "with SA_NOCLDWAIT the signal still comes");
});

test("SA_RESETHAND makes the action the default before the handler runs", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, SIGUSR1, HANDLER, SA_RESETHAND);
  world.init.call("kill", child.task.tid, SIGUSR1);
  world.settle();
  t.is(child.task.process.actions.get(SIGUSR1).handler, SIG_DFL);
  t.is(child.handled.length, 1);
});

test("a fault runs its handler; blocked or ignored it ends the process", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, SIGSEGV);
  child.fault(SIGSEGV, 1, 0xdead);
  const [delivery] = child.handled;
  const info = new DataView((delivery?.info ?? new Uint8Array(0)).buffer);
  t.is(info.getBigUint64(16, true), 0xdeadn, "si_addr");
  child.fault(SIGSEGV, 1, 0xdead);
  world.settle();
  t.is(child.task.process.exitStatus, SIGSEGV, "the handler's mask blocks it");
  const other = childOf(world);
  onSignal(other, SIGSEGV, SIG_IGN);
  other.fault(SIGSEGV, 1, 0);
  world.settle();
  t.is(other.task.process.exitStatus, SIGSEGV);
});

test("tgkill reaches one thread, kill any that does not block the signal", (t) => {
  const world = new World();
  const leader = childOf(world);
  const second = world.spawn(leader);
  onSignal(leader, SIGUSR1);
  leader.call("tgkill", leader.task.process.pid, second.task.tid, SIGUSR1);
  world.settle();
  t.deepEqual([leader.handled.length, second.handled.length], [0, 1]);
  second.mask = 0n;
  leader.setMask(bit(SIGUSR1));
  world.init.call("kill", leader.task.process.pid, SIGUSR1);
  world.settle();
  t.deepEqual([leader.handled.length, second.handled.length], [0, 2]);
  t.is(leader.call("tgkill", 1, second.task.tid, SIGUSR1), ESRCH);
  t.is(leader.call("tgkill", 0, second.task.tid, SIGUSR1), EINVAL);
});

test("sigtimedwait takes a blocked signal without a handler, or gives up", (t) => {
  const world = new World();
  const child = childOf(world);
  child.setMask(bit(SIGUSR1));
  const set = child.memory.place(8);
  child.memory.bytes.writeBigUInt64LE(bit(SIGUSR1), set - 0x10000);
  const info = child.memory.place(128);
  t.is(child.call("rt_sigtimedwait", set, info, 0, 8), undefined);
  world.init.call("kill", child.task.tid, SIGUSR1);
  world.settle();
  t.is(child.result, SIGUSR1);
  t.is(child.memory.i32(info), SIGUSR1);
  const second = child.memory.place(16);
  child.memory.bytes.writeBigInt64LE(1n, second - 0x10000);
  child.call("rt_sigtimedwait", set, info, second, 8);
  world.reactor.advance(NS_PER_S);
  t.is(child.result, EAGAIN);
});

test("sigtimedwait takes a signal that is ignored by default", (t) => {
  const world = new World();
  const child = childOf(world);
  child.setMask(bit(SIGCHLD));
  const set = child.memory.place(8);
  child.memory.bytes.writeBigUInt64LE(bit(SIGCHLD), set - 0x10000);
  world.init.call("kill", child.task.tid, SIGCHLD);
  t.is(child.call("rt_sigtimedwait", set, 0, 0, 8), SIGCHLD);
});

test("permission: the same user, CAP_KILL, or SIGCONT within the session", (t) => {
  const world = new World();
  const child = childOf(world);
  child.call("setuid", 1000);
  const other = childOf(world);
  other.call("setuid", 1001);
  t.is(child.call("kill", other.task.tid, 0), EPERM);
  t.is(child.call("kill", other.task.tid, SIGCONT), 0);
  t.is(world.init.call("kill", other.task.tid, 0), 0);
  t.is(child.call("kill", 99, 0), ESRCH);
  t.is(child.call("kill", child.task.tid, 65), EINVAL);
  t.is(child.call("kill", -1, 0), EPERM);
});

test("rt_sigqueueinfo carries a value and may not pretend to be the kernel", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, 40);
  const info = Buffer.alloc(128);
  info.writeInt32LE(-1, 8);
  info.writeBigUInt64LE(0xabcn, 24);
  const at = world.init.memory.place(info);
  t.is(world.init.call("rt_sigqueueinfo", child.task.tid, 40, at), 0);
  world.settle();
  const seen = Buffer.from(child.handled[0]?.info ?? []);
  t.is(seen.readBigUInt64LE(24), 0xabcn);
  t.is(seen.readInt32LE(0), 40);
  info.writeInt32LE(0x80, 8);
  const forged = world.init.memory.place(info);
  t.is(world.init.call("rt_sigqueueinfo", child.task.tid, 40, forged), EPERM);
});

test("a group is signalled as a whole", (t) => {
  const world = new World();
  const job = childOf(world);
  job.call("setpgid", 0, 0);
  const member = world.fork(job);
  const outsider = childOf(world);
  t.is(world.init.call("kill", -job.task.tid, SIGINT), 0);
  world.settle();
  t.deepEqual(
    [job, member, outsider].map(({ task }) => task.process.state),
    ["zombie", "zombie", "running"],
  );
});

test("alarm sends SIGALRM once, and tells what was left of the one before", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, SIGALRM);
  t.is(child.call("alarm", 5), 0);
  t.is(child.call("alarm", 3), 5);
  world.reactor.advance(3n * NS_PER_S - 1n);
  t.deepEqual(child.handled, []);
  world.reactor.advance(60n * NS_PER_S);
  t.deepEqual(signals(child), [SIGALRM]);
});

test("setitimer repeats, and fork does not inherit it", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, SIGALRM, HANDLER, SA_NODEFER);
  const setting = Buffer.alloc(32);
  setting.writeBigInt64LE(2n, 0);
  setting.writeBigInt64LE(1n, 16);
  child.call("setitimer", 0, child.memory.place(setting), 0);
  const grandchild = world.fork(child);
  world.reactor.advance(5n * NS_PER_S);
  t.is(child.handled.length, 3);
  t.deepEqual(grandchild.handled, []);
  const current = child.memory.place(32);
  child.call("getitimer", 0, current);
  t.deepEqual([child.memory.i64(current), child.memory.i64(current + 16)], [2n, 2n]);
});

test("a POSIX timer queues one signal and counts what it missed", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, 41);
  child.setMask(bit(41));
  const event = Buffer.alloc(64);
  event.writeBigUInt64LE(77n, 0);
  event.writeInt32LE(41, 8);
  const id = child.memory.place(4);
  t.is(child.call("timer_create", 1, child.memory.place(event), id), 0);
  t.is(child.memory.i32(id), 0);
  const setting = Buffer.alloc(32);
  setting.writeBigInt64LE(1n, 0);
  setting.writeBigInt64LE(1n, 16);
  t.is(child.call("timer_settime", 0, 0, child.memory.place(setting), 0), 0);
  world.reactor.advance(4n * NS_PER_S);
  child.setMask(0n);
  world.settle();
  t.is(child.handled.length, 1);
  t.is(Buffer.from(child.handled[0]?.info ?? []).readBigUInt64LE(24), 77n, "sigev_value");
  t.is(child.call("timer_getoverrun", 0), 3);
  child.setMask(bit(41));
  world.reactor.advance(1n * NS_PER_S);
  t.is(
    child.call("timer_getoverrun", 0),
    3,
    "that of the signal taken last, not of the one to come",
  );
  t.is(child.call("timer_delete", 0), 0);
  t.is(child.call("timer_delete", 0), EINVAL);
});

test("RLIMIT_CPU sends SIGXCPU each second from the soft limit on, and SIGKILL at the hard one", (t) => {
  const world = new World();
  const child = childOf(world);
  onSignal(child, SIGXCPU, HANDLER, SA_NODEFER);
  const limit = Buffer.alloc(16);
  limit.writeBigUInt64LE(3n, 8);
  t.is(child.call("setrlimit", 0, child.memory.place(limit)), 0);
  for (const [seconds, heard] of [
    [0n, 0],
    [1n, 1],
    [2n, 2],
  ] as const) {
    world.machine.used = { ...NO_USAGE, userNs: seconds * NS_PER_S };
    world.reactor.advance(NS_PER_S);
    world.settle();
    t.is(child.handled.length, heard);
  }
  t.is(child.task.process.state, "running");
  world.machine.used = { ...NO_USAGE, userNs: 3n * NS_PER_S };
  world.reactor.advance(NS_PER_S);
  world.settle();
  t.is(child.task.process.exitStatus & 0x7f, SIGKILL);
});

test("an exec keeps ignored and pending signals and forgets handlers", (t) => {
  const world = new World({ credentials: initialCredentials(0, 0, []) });
  const { actions } = world.init.task.process;
  onSignal(world.init, SIGUSR1, SIG_IGN);
  onSignal(world.init, SIGUSR2);
  actions.resetHandlers();
  t.is(actions.get(SIGUSR1).handler, SIG_IGN);
  t.is(actions.get(SIGUSR2).handler, SIG_DFL);
});

test("a wait that the child's own SIGCHLD hits returns the child, and the handler has run by then", (t) => {
  const world = new World();
  const parent = childOf(world);
  const child = world.fork(parent);
  onSignal(parent, SIGCHLD);
  parent.call("wait4", -1, 0, 0, 0);
  child.call("exit_group", 0);
  world.settle();
  t.is(parent.result, child.task.tid);
  t.deepEqual(signals(parent), [SIGCHLD]);
});
