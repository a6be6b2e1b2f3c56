import test from "ava";
import fc from "fast-check";
import { EACCES, EAGAIN, EINVAL, EPERM, Errno, ESRCH } from "../../../sentry/abi/errno.ts";
import { SIGKILL } from "../../../sentry/abi/signal.ts";
import { initialCredentials, type TaskCredentials } from "../../../sentry/kernel/capabilities.ts";
import {
  setfsuid,
  setresuid,
  setreuid,
  setuid,
  UNCHANGED,
} from "../../../sentry/kernel/identity.ts";
import { CAP_CHOWN, CAP_SETUID, DEFAULT_CAPABILITIES } from "../../../sentry/vfs/credentials.ts";
import { type FakeThread, World } from "./fake-machine.ts";

const ids = ({ ruid, euid, suid, fsuid }: TaskCredentials) => [ruid, euid, suid, fsuid];

function changed(result: TaskCredentials | Errno): TaskCredentials {
  if (result instanceof Errno) throw new Error(`Refused: ${result}`);
  return result;
}

const root = initialCredentials(0, 0, []);
const user = initialCredentials(1000, 1000, []);

test("setuid of root changes all ids and gives up the capabilities", (t) => {
  const after = changed(setuid(root, 1000));
  t.deepEqual(ids(after), [1000, 1000, 1000, 1000]);
  t.is(after.capabilities, 0n);
  t.is(after.permitted, 0n);
  t.is(setuid(after, 0), EPERM);
});

test("seteuid to a user and back keeps what is permitted", (t) => {
  const away = changed(setresuid(root, [UNCHANGED, 1000, UNCHANGED]));
  t.deepEqual(ids(away), [0, 1000, 0, 1000]);
  t.is(away.capabilities, 0n);
  t.is(away.permitted, DEFAULT_CAPABILITIES);
  const back = changed(setresuid(away, [UNCHANGED, 0, UNCHANGED]));
  t.is(back.capabilities, DEFAULT_CAPABILITIES);
});

test("setreuid moves the saved id along unless only the effective one becomes the real one", (t) => {
  t.deepEqual(ids(changed(setreuid(root, 1, 2))), [1, 2, 2, 2]);
  const swapped = changed(setreuid({ ...user, euid: 7, suid: 7, fsuid: 7 }, UNCHANGED, 1000));
  t.deepEqual(ids(swapped), [1000, 1000, 7, 1000]);
  t.is(setreuid(user, 5, UNCHANGED), EPERM);
});

test("setfsuid changes nothing when it is not allowed, and drops only what files need", (t) => {
  t.is(setfsuid(user, 5), user);
  const after = setfsuid(root, 5);
  t.is(after.fsuid, 5);
  t.is(after.capabilities & (1n << BigInt(CAP_CHOWN)), 0n);
  t.not(after.capabilities & (1n << BigInt(CAP_SETUID)), 0n);
});

test("without privilege, no sequence of calls gives an id that was not there", (t) => {
  const id = fc.constantFrom(0, 1, 2, 3, UNCHANGED);
  const step = fc.oneof(
    fc.record({ call: fc.constant("setuid" as const), ids: fc.tuple(id) }),
    fc.record({ call: fc.constant("setreuid" as const), ids: fc.tuple(id, id) }),
    fc.record({ call: fc.constant("setresuid" as const), ids: fc.tuple(id, id, id) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      let now: TaskCredentials = { ...user, ruid: 1, euid: 2, suid: 2, fsuid: 2 };
      for (const { call, ids: args } of steps) {
        const result =
          call === "setuid"
            ? setuid(now, args[0])
            : call === "setreuid"
              ? setreuid(now, args[0], args[1])
              : setresuid(now, args);
        if (!(result instanceof Errno)) now = result;
      }
      return ids(now).every((value) => value === 1 || value === 2) && now.capabilities === 0n;
    }),
  );
  t.pass();
});

test("setpgid and setsid follow the rules of POSIX", (t) => {
  const world = new World();
  const shell = world.fork(world.init);
  t.is(shell.call("setsid"), shell.task.tid);
  t.is(shell.call("setsid"), EPERM);
  t.is(shell.call("setpgid", 0, 0), EPERM, "a session leader");
  const job = world.fork(shell);
  const other = world.fork(shell);
  t.is(shell.call("setpgid", job.task.tid, 0), 0);
  t.is(shell.call("setpgid", other.task.tid, job.task.tid), 0);
  t.is(other.call("getpgid", 0), job.task.tid);
  t.is(shell.call("setpgid", other.task.tid, 999), EPERM);
  t.is(shell.call("setpgid", other.task.tid, -1), EINVAL);
  t.is(shell.call("setpgid", 999, 0), ESRCH);
  t.is(world.init.call("setpgid", job.task.tid, 0), ESRCH, "a grandchild");
  t.is(world.init.call("setpgid", shell.task.tid, 1), EPERM, "another session");
  job.task.process.executed = true;
  t.is(shell.call("setpgid", job.task.tid, 0), EACCES);
  t.is(job.call("setsid"), EPERM, "it leads its group");
  t.is(other.call("setsid"), other.task.tid);
});

test("a group's id is not given to a process while the group lives", (t) => {
  const world = new World();
  const first = world.fork(world.init);
  first.call("setpgid", 0, 0);
  const member = world.fork(first);
  const pgid = first.task.tid;
  first.call("exit_group", 0);
  world.settle();
  world.init.call("wait4", pgid, 0, 0, 0);
  t.is(world.kernel.pids.process(pgid), undefined);
  t.truthy(world.kernel.pids.group(pgid));
  t.is(world.init.call("kill", -pgid, SIGKILL), 0);
  world.settle();
  t.is(member.task.process.state, "zombie");
  world.init.call("wait4", -1, 0, 0, 0);
  t.is(world.kernel.pids.group(pgid), undefined);
});

function limit(thread: FakeThread, cur: bigint, max: bigint): number {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(cur, 0);
  bytes.writeBigUInt64LE(max, 8);
  return thread.memory.place(bytes);
}

test("limits can be lowered by anyone and raised only up to the hard limit", (t) => {
  const world = new World({ credentials: initialCredentials(1000, 1000, []) });
  const { init } = world;
  t.is(init.call("setrlimit", 7, limit(init, 10n, 20n)), 0);
  t.is(init.call("setrlimit", 7, limit(init, 20n, 20n)), 0);
  t.is(init.call("setrlimit", 7, limit(init, 21n, 20n)), EINVAL);
  t.is(init.call("setrlimit", 7, limit(init, 21n, 21n)), EPERM);
  t.is(init.call("prlimit64", 0, 99, 0, 0), EINVAL);
  const old = init.memory.place(16);
  t.is(init.call("prlimit64", 0, 7, 0, old), 0);
  t.deepEqual([init.memory.i64(old), init.memory.i64(old + 8)], [20n, 20n]);
});

test("RLIMIT_NPROC counts the tasks of a user, and root's are not counted", (t) => {
  const world = new World({ credentials: initialCredentials(1000, 1000, []) });
  const { init } = world;
  t.is(init.call("setrlimit", 6, limit(init, 2n, 2n)), 0);
  const child = world.fork(init);
  t.is(init.call("fork"), EAGAIN);
  t.is(child.call("fork"), EAGAIN);
  child.call("exit_group", 0);
  world.settle();
  t.is(init.call("wait4", -1, 0, 0, 0), child.task.process.pid);
  world.fork(init);

  const { init: root } = new World();
  t.is(root.call("setrlimit", 6, limit(root, 1n, 1n)), 0);
  t.not(root.call("fork"), EAGAIN);
});

test("prctl: names are cut at 15 bytes, and no_new_privs cannot be taken back", (t) => {
  const { init } = new World();
  t.is(init.call("prctl", 15, init.memory.place("a-name-that-is-too-long")), 0);
  t.is(init.task.name, "a-name-that-is-");
  t.is(init.call("prctl", 38, 1, 0, 0, 0), 0);
  t.is(init.call("prctl", 38, 0, 0, 0, 0), EINVAL);
  t.is(init.call("prctl", 39, 0, 0, 0, 0), 1);
  t.is(init.call("prctl", 12345), EINVAL);
});

test("PR_SET_PDEATHSIG kills the child when its parent ends", (t) => {
  const world = new World();
  const parent = world.fork(world.init);
  const child = world.fork(parent);
  child.call("prctl", 1, SIGKILL);
  parent.call("exit_group", 0);
  world.settle();
  t.is(child.task.process.exitStatus, SIGKILL);
});

test("capget and capset: sets can only be made smaller", (t) => {
  const { init } = new World();
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x20080522, 0);
  const at = init.memory.place(header);
  const data = init.memory.place(24);
  t.is(init.call("capget", at, data), 0);
  const all = DEFAULT_CAPABILITIES;
  t.is(BigInt(init.memory.i32(data) >>> 0), all & 0xffffffffn);
  const some = Buffer.alloc(24);
  some.writeUInt32LE(1, 0);
  some.writeUInt32LE(1, 4);
  t.is(init.call("capset", at, init.memory.place(some)), 0);
  t.is(init.task.credentials.capabilities, 1n);
  const more = Buffer.alloc(24);
  more.writeUInt32LE(3, 0);
  more.writeUInt32LE(3, 4);
  t.is(init.call("capset", at, init.memory.place(more)), EPERM);
});

test("capget with an unknown version tells the newest", (t) => {
  const { init } = new World();
  const at = init.memory.place(8);
  t.is(init.call("capget", at, 0), 0);
  t.is(init.memory.i32(at), 0x20080522);
  t.is(init.call("capget", init.memory.place(8), init.memory.place(24)), EINVAL);
});
