/** Runs the rows of program-rows.ts: natively in the root of their image, and in containers. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Dd, type Mode, modeOption } from "../fixtures/dd.ts";
import { type HostImageName, image, TREE } from "../fixtures/images.ts";
import { type RunResult, runProgram } from "../fixtures/program.ts";
import type { ProgramRow } from "./program-rows.ts";

const SHELL: Record<HostImageName, string> = { busybox: "/bin/sh", debian: "/bin/bash" };
export const ROW_TIMEOUT_MS = 150_000;

export interface RowRunner {
  natively(row: ProgramRow): Promise<RunResult>;
  /** @param reference the image; it has what the row's own image has. */
  contained(row: ProgramRow, reference: string, mode: Mode): Promise<RunResult>;
  close(): void;
}

/** @param options of `ddcli run`, for every container. */
export function rowRunner(dd: Dd, options: readonly string[] = []): RowRunner {
  const base = mkdtempSync(join(tmpdir(), "dd-programs-"));
  let directories = 0;
  /** A fresh directory that holds the row's files. */
  const workDirectory = (row: ProgramRow): string => {
    const path = join(base, String(directories++));
    mkdirSync(path);
    for (const [name, text] of Object.entries(row.files ?? {})) {
      writeFileSync(join(path, name), text);
    }
    return path;
  };
  const words = (row: ProgramRow) => [SHELL[row.image], "-c", row.script];
  const settings = (row: ProgramRow) => ({
    timeoutMs: ROW_TIMEOUT_MS,
    ...(row.input === undefined ? {} : { input: row.input }),
  });
  return {
    natively: (row) =>
      runProgram(
        [
          join(TREE, "test/fixtures/native.sh"),
          image(row.image).root,
          workDirectory(row),
          ...words(row),
        ],
        settings(row),
      ),
    contained: (row, reference, mode) => {
      const own = ["--rm", ...modeOption(mode), "-v", `${workDirectory(row)}:/work`, ...options];
      if (row.input !== undefined) own.push("-i");
      return dd.run(["run", ...own, reference, ...words(row)], settings(row));
    },
    close: () => rmSync(base, { recursive: true, force: true }),
  };
}
