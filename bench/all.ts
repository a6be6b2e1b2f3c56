/** Measures every claim, one file after the other. Exit code 1 when one does not hold. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const FILES = [
  "calls",
  "processes",
  "start",
  "memory",
  "pull",
  "docker-run",
  "net",
  "build",
] as const;

for (const name of FILES) {
  const file = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const { status } = spawnSync(process.execPath, [file, ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  if (status !== 0) process.exitCode = 1;
}
