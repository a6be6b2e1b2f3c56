import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import type { Directories } from "../../sentry/container/directories.ts";
import { temporaryDirectories } from "../sentry/container/sample.ts";

const PROGRAM = fileURLToPath(new URL("./ddcli-on-host.js", import.meta.url));

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** ddcli with state directories of its own; what it leaves running ends with the test. */
export class Ddcli {
  readonly directories: Directories;
  private readonly env: NodeJS.ProcessEnv;

  constructor(t: ExecutionContext) {
    this.directories = temporaryDirectories(t);
    const { root, run } = this.directories;
    const { PATH, HOME } = process.env;
    this.env = { PATH, HOME, DD_ROOT: root, DD_RUN: run };
    t.teardown(async () => {
      const { stdout } = await this.run("ps", "-aq");
      const ids = stdout.split("\n").filter((id) => id !== "");
      if (ids.length > 0) await this.run("rm", "-f", ...ids);
    });
  }

  /** Runs to the end with nothing on standard input. */
  run(...words: string[]): Promise<Result> {
    return this.runWith({}, ...words);
  }

  async runWith(
    options: { readonly env?: NodeJS.ProcessEnv; readonly input?: string; readonly cwd?: string },
    ...words: string[]
  ): Promise<Result> {
    const child = this.spawn(words, ["pipe", "pipe", "pipe"], options);
    const texts = ["", ""];
    [child.stdout, child.stderr].forEach((stream, i) => {
      stream?.on("data", (bytes: Buffer) => {
        texts[i] += bytes.toString("utf8");
      });
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input ?? "");
    const [code] = (await once(child, "close")) as [number | null];
    return { code, stdout: texts[0] ?? "", stderr: texts[1] ?? "" };
  }

  spawn(
    words: readonly string[],
    stdio: ("pipe" | "ignore" | number)[],
    options: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
    prefix: readonly string[] = [],
  ): ChildProcess {
    const [program = "", ...args] = [...prefix, process.execPath, PROGRAM, ...words];
    return spawn(program, args, {
      env: { ...this.env, ...options.env },
      stdio,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
  }
}
