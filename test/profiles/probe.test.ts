import test from "ava";
import { LAYERS } from "../../profiles/layers.ts";
import {
  describeLayer,
  missingForUntrusted,
  ProbeFailed,
  probeLayers,
  readProbe,
} from "../../profiles/probe.ts";
import { asOrdinaryUser, nativeProgram, publicCopy, runJsonLines } from "./confine-program.ts";

const everythingWorks = LAYERS.map(({ name }) => ({ layer: name, errno: 0, detail: "" }));
const printed = (lines: readonly object[]): string =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join("");

test("probeLayers() finds every layer that an untrusted start needs", (t) => {
  const reports = probeLayers(nativeProgram("dd-probe"));
  t.deepEqual(
    reports.map(({ layer }) => layer.name),
    LAYERS.map(({ name }) => name),
  );
  t.deepEqual(missingForUntrusted(reports), []);
  t.regex(reports.find(({ layer }) => layer.name === "landlock")?.detail ?? "", /^ABI \d+$/);
});

test("an ordinary user has every layer that an untrusted start needs", (t) => {
  const { status, text } = runJsonLines([...asOrdinaryUser(), publicCopy(t, "dd-probe")]);
  t.is(status, 0);
  t.deepEqual(missingForUntrusted(readProbe(text)), []);
});

test("where user namespaces are forbidden, the probe says so with its error and a way out", (t) => {
  const inside = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$0"';
  const program = publicCopy(t, "dd-probe");
  const { text } = runJsonLines([
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    inside,
    program,
  ]);
  const missing = missingForUntrusted(readProbe(text));
  t.deepEqual(missing.map(({ layer }) => layer.name).slice(0, 1), ["user-namespace"]);
  t.true(missing.length >= 8);
  const [first] = missing;
  t.is(
    first === undefined ? "" : describeLayer(first).slice(0, 62),
    "user namespaces: missing: unshare: No space left on device. Al",
  );
});

test("what root of a user namespace cannot do is missing, with the exact error", (t) => {
  const { text } = runJsonLines([
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    'echo 0 >/proc/sys/user/max_mnt_namespaces; exec "$0"',
    publicCopy(t, "dd-probe"),
  ]);
  t.deepEqual(
    missingForUntrusted(readProbe(text)).map(({ layer, errno }) => [layer.name, errno?.name]),
    [
      ["container-user", "EPERM"],
      ["empty-root", "ENOSPC"],
    ],
  );
});

test("a layer of limits that is missing does not refuse an untrusted start", (t) => {
  const lines = everythingWorks.map((line) =>
    line.layer === "cgroup-pids" ? { ...line, errno: 13, detail: "not writable" } : line,
  );
  const reports = readProbe(printed(lines));
  t.deepEqual(missingForUntrusted(reports), []);
  const report = reports.find(({ ok }) => !ok);
  t.regex(
    report === undefined ? "" : describeLayer(report),
    /missing: not writable: Permission denied/,
  );
});

test("describeLayer() names the version that works", (t) => {
  const lines = everythingWorks.map((line) => ({ ...line, detail: "version 2" }));
  t.is(readProbe(printed(lines)).map(describeLayer)[0], "user namespaces: ok (version 2)");
});

for (const [what, output] of [
  ["nothing", ""],
  ["a layer too few", printed(everythingWorks.slice(1))],
  ["a layer too many", printed([...everythingWorks, { layer: "x", errno: 0, detail: "" }])],
  [
    "an unknown layer",
    printed([...everythingWorks.slice(1), { layer: "x", errno: 0, detail: "" }]),
  ],
  ["a line without an errno", printed([{ layer: "landlock" }])],
] as const) {
  test(`readProbe() refuses ${what}`, (t) => {
    t.throws(() => readProbe(output), { instanceOf: ProbeFailed });
  });
}

test("probeLayers() says when the program is not there", (t) => {
  t.throws(() => probeLayers("/nonexistent/dd-probe"), {
    instanceOf: ProbeFailed,
    message: /Cannot run/,
  });
});
