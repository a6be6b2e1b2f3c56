/** What an ordinary user meets: as root these tests run ddcli as a user who owns nothing else. */
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { MODES, modeOption } from "../fixtures/dd.ts";
import { image, TREE } from "../fixtures/images.ts";
import { runProgram } from "../fixtures/program.ts";

const NOBODY = 65_534;
const TIMEOUT_MS = 120_000;
const isRoot = process.getuid?.() === 0;

/** A copy of the program and a home that belong to the user: the tree itself may be hidden from him. */
function install(): { readonly base: string; readonly home: string } {
  const base = mkdtempSync(join(tmpdir(), "dd-user-"));
  chmodSync(base, 0o755);
  for (const part of ["cli", "package.json", "build/bundle", "build/Release", "build/tsinfo"]) {
    cpSync(join(TREE, part), join(base, part), { recursive: true, preserveTimestamps: true });
  }
  const home = join(base, "home");
  mkdirSync(home);
  if (isRoot) chownSync(home, NOBODY, NOBODY);
  return { base, home };
}

const { base, home } = install();
test.after.always(() => rmSync(base, { recursive: true, force: true }));

function ddcli(...args: string[]) {
  const asUser = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  return runProgram(
    [...(isRoot ? asUser : []), process.execPath, join(base, "cli/ddcli.js"), ...args],
    {
      cwd: home,
      env: {
        PATH: process.env["PATH"],
        HOME: home,
        DD_ROOT: join(home, "root"),
        DD_RUN: join(home, "run"),
      },
      timeoutMs: TIMEOUT_MS,
    },
  );
}

for (const mode of MODES) {
  test.serial(`an ordinary user is root inside, and owners are kept, ${mode}`, async (t) => {
    const script =
      "id -u; echo x > /root/f; chown 5:6 /root/f; chmod 4755 /root/f; " +
      "stat -c '%u %g %a' /root/f; for i in 3 1 2; do echo $i; done | sort; " +
      'python3 -c \'import subprocess; print(subprocess.check_output(["echo", "sub"]))\'';
    const result = await ddcli("run", "--rm", ...modeOption(mode), "host", "sh", "-c", script);
    t.is(result.stdout, "0\n5 6 4755\n1\n2\n3\nb'sub\\n'\n");
    t.is(result.code, 0, result.stderr);
  });

  test.serial(`an ordinary user writes to his bind mount as himself, ${mode}`, async (t) => {
    const directory = mkdtempSync(join(home, "bind-"));
    if (isRoot) chownSync(directory, NOBODY, NOBODY);
    const result = await ddcli(
      ...["run", "--rm", ...modeOption(mode), "-v", `${directory}:/w`, "host"],
      ...["sh", "-c", "echo data > /w/f && stat -c '%u %s' /w/f && cat /w/f"],
    );
    t.is(result.stdout, "0 5\ndata\n");
    t.is(result.code, 0, result.stderr);
  });
}

test.serial("an ordinary user loads an image and runs it in both modes", async (t) => {
  const archive = join(home, "busybox.tar");
  cpSync(image("busybox").dockerArchive, archive);
  chmodSync(archive, 0o644);
  const loaded = await ddcli("load", "-i", archive);
  t.is(loaded.code, 0, loaded.stderr);
  for (const mode of MODES) {
    const result = await ddcli("run", "--rm", ...modeOption(mode), "busybox:test", "echo", "hi");
    t.is(result.stdout, "hi\n");
    t.is(result.code, 0, result.stderr);
  }
});
