/** Where claims are measured: an installation of dd with the images loaded, and the guest program of calls. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { type Dd, type Mode, modeOption, openDd } from "../test/fixtures/dd.ts";
import { type ImageName, image, TREE } from "../test/fixtures/images.ts";
import { runProgram } from "../test/fixtures/program.ts";

const BUILD = join(TREE, "build/bench");
let installation: Promise<Dd> | undefined;
const loaded = new Set<ImageName>();

/** The installation, with these images; its state is removed at exit of the process that made it. */
export async function installed(...names: ImageName[]): Promise<Dd> {
  installation ??= Promise.resolve(openDd());
  const dd = await installation;
  for (const name of names) {
    if (!loaded.has(name)) await dd.load(image(name));
    loaded.add(name);
  }
  return dd;
}

/** Removes what {@link installed} made. */
export async function leave(): Promise<void> {
  if (installation !== undefined) await (await installation).close();
  installation = undefined;
  loaded.clear();
}

/** Builds the guest program of the per-call claims. */
export function buildCalls(): void {
  execFileSync("mkdir", ["-p", BUILD]);
  const source = join(TREE, "bench/calls.c");
  execFileSync("cc", ["-O2", "-static", "-o", join(BUILD, "calls"), source]);
}

/** Nanoseconds of one operation of calls.c: natively, or in a container of a mode. */
export async function callTime(operation: string, where: Mode | "native"): Promise<number> {
  const program = join(BUILD, "calls");
  const dd = await installed("busybox");
  const { stdout, stderr } =
    where === "native"
      ? await runProgram([program, operation])
      : await dd.run(
          ["run", "--rm", ...modeOption(where), "-v", `${BUILD}:/bench:ro`].concat([
            "busybox:test",
            "/bench/calls",
            operation,
          ]),
        );
  const match = /^\w+ (\d+)$/m.exec(stdout);
  if (match === null) throw new Error(`calls ${operation} printed no time: ${stdout}${stderr}`);
  return Number(match[1]);
}

/** Milliseconds that a program takes from its start to its end. @throws {Error} when it fails. */
export async function wallTime(
  argv: readonly string[],
  env?: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const start = performance.now();
  const { code, stderr } = await runProgram(argv, env === undefined ? {} : { env });
  if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${stderr}`);
  return performance.now() - start;
}
