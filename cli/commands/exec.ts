import { closeSync, openSync } from "node:fs";
import { ask } from "../../sentry/container/ask.ts";
import type { ControlClient } from "../../sentry/container/control-client.ts";
import { execConfig, type ProcessChoice } from "../../sentry/container/process-config.ts";
import { openContainers } from "../context.ts";
import { readEnvironment } from "../environment.ts";
import { CliError, EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { EXEC_OPTIONS } from "../options.ts";
import { forwardSignals } from "../signals.ts";
import { UserTerminal } from "../user-terminal.ts";

export async function main(
  values: Values<typeof EXEC_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const store = openContainers();
  const [name = "", ...args] = operands;
  const container = store.find(name);
  const choice: ProcessChoice = {
    args,
    entrypoint: undefined,
    env: readEnvironment(values["env-file"], values.env, process.env),
    workdir: values.workdir,
    user: values.user,
    tty: values.tty,
    hostname: "",
    privileged: values.privileged,
  };
  const config = execConfig(container.record.process, choice, container.record.tty);
  const nothing = openSync("/dev/null", "r+");
  if (!values.tty || values.detach) {
    const [stdin, stdout, stderr] = values.detach ? [nothing, nothing, nothing] : [0, 1, 2];
    const client = ask(store, container, { op: "exec", process: config }, [
      values.interactive ? stdin : nothing,
      stdout,
      stderr,
    ]);
    closeSync(nothing);
    return values.detach ? started(client) : attend(client);
  }
  const terminal = UserTerminal.enter(values.interactive);
  try {
    const { input, output } = terminal.ends;
    const request = { op: "exec", process: config, terminal: terminal.size() } as const;
    const ends = input === undefined ? [output] : [output, input];
    const client = ask(store, container, request, ends);
    terminal.onResize((size) => client.send({ op: "resize", ...size }));
    return await attend(client);
  } finally {
    terminal.leave();
  }
}

/** @returns once the process runs. @throws {CliError} `EXEC_FAILED` with docker's exit code. */
async function started(client: ControlClient): Promise<number> {
  const reply = await client.next();
  client.close();
  if (reply?.kind === "started") return EXIT.ok;
  throw failure(reply?.kind === "error" ? reply : undefined);
}

/** Passes signals on until the process has ended. @returns its exit code. */
async function attend(client: ControlClient): Promise<number> {
  forwardSignals((signo) => client.send({ op: "signal", signo }));
  try {
    for (;;) {
      const reply = await client.next();
      if (reply?.kind === "exited") return reply.status.code;
      if (reply?.kind !== "started") throw failure(reply?.kind === "error" ? reply : undefined);
    }
  } finally {
    client.close();
  }
}

function failure(error: { message: string; exitCode: number } | undefined): CliError {
  return error === undefined
    ? // The container ended, and with it every process in it.
      new CliError("EXEC_FAILED", "the container has ended", { exitCode: 137 })
    : new CliError("EXEC_FAILED", error.message, { exitCode: error.exitCode });
}
