import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";

const release = new URL("../../../Release/", import.meta.url);

/** A program of guest/confine, as cmake-js built it. */
export function nativeProgram(name: string): string {
  return fileURLToPath(new URL(name, release));
}

/** The program that confines itself and attacks from inside. */
export function confineTest(): string {
  return nativeProgram("dd-confine-test");
}

/** A new folder that every user can read, removed after the test. */
export function scratchFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), "dd-profiles-"));
  chmodSync(folder, 0o755);
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A copy that every user can execute: the tree may lie in a home directory. */
export function publicCopy(t: ExecutionContext, name: string): string {
  const copy = join(scratchFolder(t), name);
  copyFileSync(nativeProgram(name), copy);
  chmodSync(copy, 0o755);
  return copy;
}

/** The user `nobody`, whom every system has. */
export const ORDINARY_ID = 65534;

/** Words before a command that make an ordinary user run it: none when we are one. */
export function asOrdinaryUser(): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const id = `${ORDINARY_ID}`;
  return ["setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--inh-caps=-all"];
}

/** Runs a command. @returns its status and the JSON lines it printed. */
export function runJsonLines(command: readonly string[]): {
  status: number | null;
  lines: unknown[];
  text: string;
} {
  const [program = "", ...args] = command;
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", cwd: "/" });
  const lines = stdout.split("\n").filter((line) => line !== "");
  return { status, lines: lines.map((line): unknown => JSON.parse(line)), text: stdout + stderr };
}
