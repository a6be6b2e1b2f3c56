import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { type Confinement, executorConfinement } from "../../profiles/linux/confinement.ts";
import { encodeConfinement } from "../../profiles/linux/encode.ts";
import { STEPS, type StepName } from "../../profiles/linux/steps.ts";
import { asOrdinaryUser, publicCopy, runJsonLines, scratchFolder } from "./confine-program.ts";

/** What the program prints when a start was refused: the step, and the error. */
function refusal(
  t: ExecutionContext,
  before: readonly string[],
  change: (confinement: Confinement) => Confinement = (same) => same,
  role = "run",
): readonly [StepName | undefined, string | undefined] {
  const own = process.getuid?.() ?? 0;
  // As root, the ids of another user: the map is then written by a process outside.
  const id = before.length > 0 || own === 0 ? 65534 : own;
  const confinement = executorConfinement({
    isa: "x86_64",
    hostUid: id,
    hostGid: id,
    processes: 20,
  });
  const description = join(scratchFolder(t), "description");
  writeFileSync(description, encodeConfinement(change(confinement)));
  const program = publicCopy(t, "dd-confine-test");
  const { status, lines } = runJsonLines([...before, program, role, description]);
  t.is(status, 1);
  t.is(lines.length, 1);
  const detail = (lines[0] as { readonly detail: string }).detail;
  const [, step = "", error] = /^step (\d+): (.*)$/.exec(detail) ?? [];
  return [STEPS[Number(step)]?.name, error];
}

/** Runs a command in a user namespace, as oneself, in which a kind of namespace cannot be made. */
function without(kind: string): readonly string[] {
  const inside = `echo 0 >/proc/sys/user/max_${kind}_namespaces; exec "$@"`;
  const enter = ["unshare", "--user", "--map-current-user", "--keep-caps"];
  return [...asOrdinaryUser(), ...enter, "sh", "-c", inside, "sh"];
}

const NO_SPACE = "No space left on device";

for (const [kind, step] of [
  ["user", "user-namespace"],
  ["mnt", "mount-namespace"],
  ["pid", "namespaces"],
  ["net", "namespaces"],
  ["ipc", "namespaces"],
  ["uts", "namespaces"],
  ["cgroup", "namespaces"],
] as const) {
  test(`without ${kind} namespaces a start is refused at step ${step}`, (t) => {
    t.deepEqual(refusal(t, without(kind)), [step, NO_SPACE]);
  });
}

if (process.getuid?.() === 0) {
  test("an ordinary user cannot start a container as another user", (t) => {
    const words = ["setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups"];
    t.deepEqual(refusal(t, words), ["user-map", "Operation not permitted"]);
  });
}

test("below a process that forbids mounts a start is refused at step root", (t) => {
  t.deepEqual(
    refusal(t, [], (same) => same, "inside-landlock"),
    ["root", "Operation not permitted"],
  );
});

test("with a Landlock that is too old an executor is refused", (t) => {
  const future = (confinement: Confinement): Confinement => ({
    ...confinement,
    landlock: { ...confinement.landlock, abi: 9999 },
  });
  t.deepEqual(refusal(t, [], future), ["landlock", "Operation not supported"]);
});

test("with a Landlock right that the kernel does not know an executor is refused", (t) => {
  const unknown = (confinement: Confinement): Confinement => ({
    ...confinement,
    landlock: { ...confinement.landlock, scoped: 0x4000_0000 },
  });
  t.deepEqual(refusal(t, [], unknown), ["landlock", "Invalid argument"]);
});

test("with a filter that the kernel does not accept an executor is refused", (t) => {
  const broken = (confinement: Confinement): Confinement => {
    const { executorFilter } = confinement;
    const program = executorFilter.program.map((one) => ({ ...one, code: 0xffff }));
    return { ...confinement, executorFilter: { ...executorFilter, program } };
  };
  t.deepEqual(refusal(t, [], broken), ["seccomp", "Invalid argument"]);
});

test("with a notify filter that the kernel does not accept a start is refused", (t) => {
  const broken = (confinement: Confinement): Confinement => ({
    ...confinement,
    notifyFilter: confinement.notifyFilter.slice(0, 1),
  });
  t.deepEqual(refusal(t, [], broken), ["notify-filter", "Invalid argument"]);
});
