/**
 * `npm run build:tests`: builds the C++ test programs of test/native, each also with sanitizers, in build
 * directories of their own. Quick when nothing has changed.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** Build directories, and what they are configured with. */
const VARIANTS = {
  "build-native": [],
  "build-asan": ["-DSANITIZE=address"],
  "build-tsan": ["-DSANITIZE=thread"],
} as const;

for (const [directory, options] of Object.entries(VARIANTS)) {
  const configure = ["-S", ".", "-B", directory, "-DCMAKE_BUILD_TYPE=RelWithDebInfo", ...options];
  for (const args of [configure, ["--build", directory, "-j", "2", "--target", "dd-tests"]]) {
    const { status, stdout, stderr } = spawnSync("cmake", args, { cwd: root, encoding: "utf8" });
    if (status === 0) continue;
    console.error(`cmake ${args.join(" ")}\n${stdout}${stderr}`);
    process.exit(1);
  }
}
