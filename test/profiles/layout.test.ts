import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { executorConfinement } from "../../profiles/linux/confinement.ts";
import { encodeConfinement } from "../../profiles/linux/encode.ts";
import { layoutHeader } from "../../profiles/linux/header.ts";
import { CONFINEMENT_OFFSETS, CONFINEMENT_SIZE } from "../../profiles/linux/layout.ts";
import { ConfinementRefused, decodeReport } from "../../profiles/linux/report.ts";
import { EACCES } from "../../sentry/abi/errno.ts";
import { confineTest, scratchFolder } from "./confine-program.ts";

const PARAMETERS = { isa: "x86_64", hostUid: 100001, hostGid: 100002, processes: 33 } as const;

test("the C++ header says what the TypeScript layout says", (t) => {
  const header = new URL("../../../../guest/confine/confinement_layout.h", import.meta.url);
  t.is(readFileSync(header, "utf8"), layoutHeader());
});

test("C++ reads each field where TypeScript wrote it", (t) => {
  const path = join(scratchFolder(t), "description");
  const confinement = executorConfinement(PARAMETERS);
  writeFileSync(path, encodeConfinement(confinement));
  const { stdout, status } = spawnSync(confineTest(), ["describe", path], { encoding: "utf8" });
  t.is(status, 0);
  const { program, stubOperands } = confinement.executorFilter;
  t.deepEqual(JSON.parse(stdout), {
    host_uid: 100001,
    host_gid: 100002,
    outer_namespaces: 0x10020000,
    inner_namespaces: 0x6e000000,
    landlock_abi: 6,
    landlock_filesystem: 0xffff,
    landlock_network: 3,
    landlock_scoped: 3,
    speculation: 3,
    notify_call: 180,
    window: [16, 79],
    stub: [stubOperands.high, stubOperands.start, stubOperands.end],
    limits: confinement.limits.map(({ value }) => value),
    notify_filter: confinement.notifyFilter.map(({ k }) => k),
    executor_filter: program.map(({ code, jt, jf, k }) => [code, jt, jf, k]),
  });
});

test("C++ refuses a description that is cut short, foreign or weaker than allowed", (t) => {
  const path = join(scratchFolder(t), "description");
  const good = encodeConfinement(executorConfinement(PARAMETERS));
  t.is(good.length, CONFINEMENT_SIZE);
  const set = (field: keyof typeof CONFINEMENT_OFFSETS, value: number): Uint8Array => {
    const bytes = good.slice();
    new DataView(bytes.buffer).setUint32(CONFINEMENT_OFFSETS[field], value, true);
    return bytes;
  };
  const bad = [
    good.subarray(0, CONFINEMENT_SIZE - 1),
    new Uint8Array(0),
    set("magic", 1),
    set("version", 2),
    set("size", 8),
    set("host_uid", 0),
    set("host_gid", 0),
    set("limit_count", 17),
    set("notify_filter_length", 0),
    set("executor_filter_length", 0),
    set("executor_filter_length", 513),
    set("stub_end_at", 512),
    set("window_last", 4096),
    set("notify_call", 0),
  ];
  for (const [at, bytes] of bad.entries()) {
    writeFileSync(path, bytes);
    t.is(spawnSync(confineTest(), ["describe", path]).status, 1, `description ${at}`);
  }
});

test("a confinement for host root, or without processes, cannot be described", (t) => {
  for (const wrong of [
    { hostUid: 0 },
    { memoryBytes: 4096 },
    { hostGid: 0 },
    { processes: 1 },
    { hostUid: 1.5 },
  ]) {
    t.throws(() => executorConfinement({ ...PARAMETERS, ...wrong }), { instanceOf: RangeError });
  }
});

test("a memory limit becomes a limit of each process, and is absent otherwise", (t) => {
  const limitOf = (memoryBytes?: number): number | undefined =>
    executorConfinement({
      ...PARAMETERS,
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
    }).limits.find(({ resource }) => resource === "DATA")?.value;
  t.is(limitOf(1 << 30), 1 << 30);
  t.is(limitOf(), undefined);
});

test("decodeReport() reads a report and refuses what is none", (t) => {
  const words = (...values: number[]): Uint8Array => new Uint8Array(Int32Array.from(values).buffer);
  t.deepEqual(decodeReport(words(1, 0, 0, 0)), { kind: "prepared" });
  t.deepEqual(decodeReport(words(2, 0, 0, 4711)), { kind: "started", pid: 4711 });
  t.deepEqual(decodeReport(words(3, 0, 0, 0)), { kind: "listening" });
  t.deepEqual(decodeReport(words(0, 6, 13, 0)), { kind: "failed", step: "root", errno: EACCES });
  for (const bad of [
    words(4, 0, 0, 0),
    words(2, 0, 0, 1),
    words(2, 0, 0, -1),
    words(0, 99, 13, 0),
    words(0, 6, 0, 0),
    words(1, 0, 0),
    new Uint8Array(0),
  ]) {
    t.is(decodeReport(bad), undefined);
  }
});

test("a refusal names the step, the error and the way out", (t) => {
  const refusal = new ConfinementRefused("landlock", EACCES);
  t.is(refusal.code, "DD_CONFINEMENT_REFUSED");
  t.regex(
    refusal.message,
    /Untrusted start refused: entering a Landlock domain failed: Permission/,
  );
  t.regex(refusal.message, /ABI 6/);
});
