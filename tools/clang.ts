/** `clang.js check` fails when a C or C++ file is not as clang-format writes it; `clang.js format` writes it. */
import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
/** Formatters of other versions disagree with this one in details. */
const CLANG_FORMAT_MAJOR = 14;

const listed = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "*.cc", "*.h", "*.c"],
  { cwd: root, encoding: "utf8" },
);
const files = listed.split("\n").filter((path) => path !== "" && path !== "ring/layout.h");

const candidates = [`clang-format-${CLANG_FORMAT_MAJOR}`, "clang-format"];
const tool = candidates.find((name) => {
  const { stdout } = spawnSync(name, ["--version"], { encoding: "utf8" });
  return stdout?.includes(`version ${CLANG_FORMAT_MAJOR}.`) === true;
});

if (tool === undefined) {
  console.error(`clang-format ${CLANG_FORMAT_MAJOR} is missing: apt-get install clang-format-14`);
  process.exitCode = 1;
} else {
  const how = process.argv[2] === "format" ? ["-i"] : ["--dry-run", "--Werror"];
  process.exitCode =
    spawnSync(tool, [...how, ...files], { cwd: root, stdio: "inherit" }).status ?? 1;
}
