import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether the FlatBuffers compiler is there: only who changes a schema needs it (and CI has it). */
export function hasFlatc(): boolean {
  try {
    execFileSync("flatc", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/**
 * The TypeScript that flatc makes of a schema with one namespace: file name -> content. Its imports get
 * the `.ts` that ours have; the file that only exports the others again is left out.
 */
export function compileSchema(schema: string, namespace: string): Map<string, string> {
  const directory = mkdtempSync(join(tmpdir(), "dd-flatc-"));
  try {
    execFileSync("flatc", ["--ts", "-o", directory, schema]);
    const files = join(directory, namespace);
    return new Map(
      readdirSync(files).map((name) => {
        const text = readFileSync(join(files, name), "utf8");
        return [name, text.replace(/(from '\.[^']+)'/g, "$1.ts'")];
      }),
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
