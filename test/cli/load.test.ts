import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

function output(program: string, ...words: string[]): string {
  return execFileSync(process.execPath, [root + program, ...words], { encoding: "utf8" });
}

test("the bundled program says what the modules say", (t) => {
  for (const words of [["version", "--json"], ["--help"], ["run", "--help"]]) {
    t.is(output("cli/ddcli.js", ...words), output("build/js/cli/main.js", ...words));
  }
});
