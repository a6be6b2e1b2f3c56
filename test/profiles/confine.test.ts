import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { executorConfinement } from "../../profiles/linux/confinement.ts";
import { encodeConfinement } from "../../profiles/linux/encode.ts";
import {
  asOrdinaryUser,
  ORDINARY_ID,
  publicCopy,
  runJsonLines,
  scratchFolder,
} from "./confine-program.ts";

/** As many as the probes of the program: each traps twice, most fail without the filter too. */
const CHECKS_MIN = 350;
const isRoot = process.getuid?.() === 0;

interface CheckLine {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

function runHostileProbes(t: ExecutionContext, who: "root" | "user", sentry: "free" | "confined") {
  const own = isRoot ? ORDINARY_ID : process.getuid?.();
  const host = who === "root" ? 200_001 : own;
  if (host === undefined) throw new Error("This system has no users");
  const description = join(scratchFolder(t), "description");
  const hostGid = who === "root" || isRoot ? host : (process.getgid?.() ?? host);
  const confinement = executorConfinement({ isa: "x86_64", hostUid: host, hostGid, processes: 20 });
  writeFileSync(description, encodeConfinement(confinement));
  const program = publicCopy(t, "dd-confine-test");
  const command = [...(who === "root" ? [] : asOrdinaryUser()), program, "run", description];
  const { status, lines, text } = runJsonLines(
    sentry === "free" ? command : [...command, "landlock"],
  );
  const checks = lines as CheckLine[];
  t.deepEqual(
    checks.filter((check) => !check.ok),
    [],
  );
  t.is(status, 0, text.slice(-500));
  t.true(checks.length >= CHECKS_MIN, `${checks.length} checks`);
}

for (const sentry of ["free", "confined"] as const) {
  const whose = sentry === "free" ? "a sentry without" : "a sentry in";
  test.serial(`an ordinary user's executor withstands every probe, under ${whose} Landlock`, (t) =>
    runHostileProbes(t, "user", sentry),
  );
  if (isRoot) {
    test.serial(`root's executor withstands every probe, under ${whose} Landlock`, (t) =>
      runHostileProbes(t, "root", sentry),
    );
  }
}
