import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import {
  type Directories,
  directoriesOf,
  ensureDirectories,
} from "../../../sentry/container/directories.ts";
import { randomId } from "../../../sentry/container/names.ts";
import { ContainerStore } from "../../../sentry/container/store.ts";
import { VolumeStore } from "../../../sentry/container/volumes.ts";
import { RecordLock } from "../../../sentry/host/record-lock.ts";
import { sampleRecord, temporaryDirectories } from "./sample.ts";

const WORKER = fileURLToPath(new URL("./store-worker.js", import.meta.url));
const execute = promisify(execFile);

async function worker({ root, run }: Directories, ...words: string[]): Promise<string> {
  const { stdout } = await execute(process.execPath, [WORKER, root, run, ...words]);
  return stdout.trim();
}

/** A process that runs a container called `name`; waits until it does. */
async function running(
  t: ExecutionContext,
  { root, run }: Directories,
  name: string,
  ...words: string[]
): Promise<ChildProcess> {
  const child = spawn(process.execPath, [WORKER, root, run, "runForever", name, ...words], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

function make(store: ContainerStore, name?: string) {
  const id = randomId();
  return store.create(id, name, (free) => sampleRecord(store.directories, id, free));
}

test("a container is found by name, id and the beginning of its id", (t) => {
  const store = new ContainerStore(temporaryDirectories(t));
  const held = make(store, "web");
  held.release();
  for (const reference of ["web", held.id, held.id.slice(0, 5)]) {
    t.is(store.find(reference).record.spec.id, held.id);
  }
  t.throws(() => store.find("we"), { code: "NO_SUCH_CONTAINER" });
  t.throws(() => store.find("../names/web"), { code: "NO_SUCH_CONTAINER" });
  t.throws(() => store.find("."), { code: "NO_SUCH_CONTAINER" });
});

test("an ambiguous beginning of an id is refused", (t) => {
  const store = new ContainerStore(temporaryDirectories(t));
  for (const digit of ["1", "2"]) {
    const id = `abc${digit}`.padEnd(64, "0");
    store.create(id, undefined, (name) => sampleRecord(store.directories, id, name)).release();
  }
  t.throws(() => store.find("abc"), { code: "AMBIGUOUS_ID" });
  t.notThrows(() => store.find("abc1"));
});

test("names are unique, checked, and free again after removal", (t) => {
  const store = new ContainerStore(temporaryDirectories(t));
  const held = make(store, "web");
  t.throws(() => make(store, "web"), { code: "NAME_IN_USE" });
  for (const bad of ["", "a", "-x", "a/b", "../x", "a b", "x".repeat(200)]) {
    t.throws(() => make(store, bad), { code: "INVALID_NAME" }, bad);
  }
  held.remove();
  t.deepEqual(store.list(), []);
  t.notThrows(() => make(store, "web").release());
  t.is(readdirSync(join(store.directories.root, "names")).length, 1);
});

test("of many processes that create the same name at once, exactly one does", async (t) => {
  const directories = temporaryDirectories(t);
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => worker(directories, "create", "web")),
  );
  t.is(answers.filter((answer) => answer === "created").length, 1);
  t.is(answers.filter((answer) => answer === "NAME_IN_USE").length, 5);
  t.is(new ContainerStore(directories).list().length, 1);
});

test("processes that create, list and remove one name against each other leave nothing behind", async (t) => {
  const directories = temporaryDirectories(t);
  const answers = await Promise.all(
    Array.from({ length: 3 }, () => worker(directories, "churn", "web", "60")),
  );
  t.true(answers.some((answer) => answer !== "made 0"));
  t.deepEqual(new ContainerStore(directories).list(), []);
  t.deepEqual(readdirSync(join(directories.root, "containers")), []);
  t.deepEqual(readdirSync(join(directories.root, "names")), []);
});

test("a running container cannot be held, and shows as running", async (t) => {
  const directories = temporaryDirectories(t);
  const child = await running(t, directories, "web");
  const store = new ContainerStore(directories);
  const { record, state } = store.find("web");
  t.is(state.status, "running");
  t.like(state, { pid: child.pid });
  t.is(store.tryHold(record.spec.id), undefined);
});

test("a container whose sentry was killed shows as exited, keeps its files, and its sockets are gone", async (t) => {
  const directories = temporaryDirectories(t);
  const child = await running(t, directories, "web");
  const store = new ContainerStore(directories);
  const { id } = store.find("web").record.spec;
  mkdirSync(store.runDirectoryOf(id), { recursive: true });
  writeFileSync(join(store.directoryOf(id), "upper", "blob"), "kept");
  await killed(child);

  const { state } = store.find("web");
  t.is(state.status, "exited");
  t.is(state.status === "exited" && state.exitCode, 137);
  t.false(existsSync(store.runDirectoryOf(id)));
  t.true(existsSync(join(store.directoryOf(id), "upper", "blob")));
  const held = store.tryHold(id);
  t.is(held?.state.status, "exited");
  held?.release();
});

test("a --rm container whose sentry was killed is removed by whoever looks first", async (t) => {
  const directories = temporaryDirectories(t);
  const child = await running(t, directories, "web", "rm");
  const store = new ContainerStore(directories);
  t.is(store.list().length, 1);
  await killed(child);
  t.deepEqual(store.list(), []);
  t.throws(() => store.find("web"), { code: "NO_SUCH_CONTAINER" });
});

test("a name left by a crash before its container appeared can be taken", (t) => {
  const store = new ContainerStore(temporaryDirectories(t));
  writeFileSync(join(store.directories.root, "names", "web"), randomId());
  t.notThrows(() => make(store, "web").release());
});

test("a damaged state file is a container that has exited, not an error", (t) => {
  const store = new ContainerStore(temporaryDirectories(t));
  const held = make(store, "web");
  held.release();
  writeFileSync(join(store.directoryOf(held.id), "state.json"), '{"status":');
  t.is(store.find("web").state.status, "exited");
});

test("a lock is not lost when the file is asked about or locked again by the same process", (t) => {
  const directories = temporaryDirectories(t);
  mkdirSync(directories.root, { recursive: true });
  const path = join(directories.root, "lock");
  writeFileSync(path, "");
  const lock = RecordLock.tryAcquire(path);
  t.is(RecordLock.tryAcquire(path), undefined);
  t.is(RecordLock.holder(path), process.pid);
  lock?.release();
  t.is(RecordLock.holder(path), undefined);
});

test("the directories follow DD_ROOT and DD_RUN, then XDG, then home and /tmp", (t) => {
  t.deepEqual(directoriesOf({ DD_ROOT: "/a", DD_RUN: "/b" }), { root: "/a", run: "/b" });
  t.deepEqual(directoriesOf({ XDG_DATA_HOME: "/d", XDG_RUNTIME_DIR: "/r" }), {
    root: "/d/dd",
    run: "/r/dd",
  });
  const { root, run } = directoriesOf({ XDG_DATA_HOME: "relative" });
  t.true(root.endsWith("/.local/share/dd"));
  t.is(run, `/tmp/dd-${process.getuid?.()}`);
});

test("a run directory that is a symlink is refused, and one others may enter is closed", (t) => {
  const directories = temporaryDirectories(t);
  mkdirSync(directories.root, { recursive: true });
  symlinkSync(directories.root, directories.run);
  t.throws(() => ensureDirectories(directories), { code: "BAD_RUN_DIRECTORY" });

  const open = { root: directories.root, run: join(directories.root, "run") };
  mkdirSync(open.run);
  chmodSync(open.run, 0o777);
  ensureDirectories(open);
  t.notThrows(() => ensureDirectories(open));
});

test("a volume is made once, listed, kept while a container mounts it, then removed", (t) => {
  const directories = temporaryDirectories(t);
  const volumes = new VolumeStore(directories.root);
  const { data } = volumes.ensure("data", { a: "1" });
  writeFileSync(join(data, "file"), "x");
  t.deepEqual(volumes.ensure("data").labels, { a: "1" });
  t.deepEqual(
    volumes.list().map((volume) => volume.name),
    ["data"],
  );
  const record = sampleRecord(directories, randomId(), "web");
  const user = {
    record: {
      ...record,
      spec: {
        ...record.spec,
        mounts: [
          {
            kind: "volume",
            name: "data",
            source: data,
            target: "/d",
            readOnly: false,
            copyUp: true,
          },
        ],
      },
    },
    state: { status: "created" },
  } as const;
  t.throws(() => volumes.remove("data", [user]), { code: "VOLUME_IN_USE" });
  volumes.remove("data", []);
  t.deepEqual(volumes.list(), []);
  t.throws(() => volumes.find("data"), { code: "NO_SUCH_VOLUME" });
  t.throws(() => volumes.ensure("../x"), { code: "INVALID_NAME" });
});
