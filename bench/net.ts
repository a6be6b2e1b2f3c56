/** Claims about networks: a published port, and containers that talk to each other. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Dd, openDd } from "../test/fixtures/dd.ts";
import { runProgram } from "../test/fixtures/program.ts";
import { until } from "../test/fixtures/until.ts";
import { type Claim, main } from "./claim.ts";

const ROUNDS = 5;
const REQUESTS = 50_000;
const SECONDS = 2;
/** Answers with 1 KiB; what it costs is nearly all in the calls. */
const SERVER = `require("http").createServer((q, r) => r.end("x".repeat(1024))).listen(+process.argv[2])`;

const REDIS = ["redis-server", "--save", "", "--appendonly", "no", "--protected-mode", "no"];

const dd: Dd = openDd();
const directory = mkdtempSync(join(tmpdir(), "dd-bench-net-"));
const servers: ChildProcess[] = [];

async function ddcli(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await dd.run(args);
  if (code !== 0) throw new Error(`ddcli ${args.join(" ")} ended with ${code}: ${stderr}`);
  return stdout.trim();
}

async function onHost(...command: string[]): Promise<string> {
  const { stdout } = await runProgram(command);
  return stdout;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("data", () => {});
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** Milliseconds per thousand requests of eight clients that keep their connections. */
async function http(port: number): Promise<number> {
  const url = `http://127.0.0.1:${port}/`;
  const { stdout } = await runProgram(["wrk", "-t1", "-c8", `-d${SECONDS}s`, url]);
  const [, perSecond = ""] = /Requests\/sec:\s+([0-9.]+)/.exec(stdout) ?? [];
  if (perSecond === "") throw new Error(`wrk said: ${stdout}`);
  return 1e6 / Number(perSecond);
}

/** Milliseconds per thousand GETs of fifty clients. @param run runs a command and gives what it prints. */
async function redis(
  run: (...command: string[]) => Promise<string>,
  host: string,
  port: number,
): Promise<number> {
  const text = await run(
    ...["redis-benchmark", "-h", host, "-p", String(port)],
    ...["-n", String(REQUESTS), "-t", "get", "--csv"],
  );
  const [, perSecond = ""] = /"GET","([0-9.]+)"/.exec(text) ?? [];
  if (perSecond === "") throw new Error(`redis-benchmark said: ${text}`);
  return 1e6 / Number(perSecond);
}

export async function claims(): Promise<readonly Claim[]> {
  const file = join(directory, "server.js");
  writeFileSync(file, SERVER);
  const mount = ["-v", `${directory}:/bench:ro`];
  await ddcli(
    ...["run", "-d", "--name", "web", "-p", "127.0.0.1::8000", ...mount, "host"],
    ...["node", "/bench/server.js", "8000"],
  );
  const published = Number((await ddcli("port", "web", "8000")).split(":").at(-1));
  const native = 20_000 + (process.pid % 10_000);
  const nativeRedis = native + 10_000;
  servers.push(spawn(process.execPath, [file, String(native)], { stdio: "ignore" }));
  const [server = "", ...options] = [...REDIS, "--port", String(nativeRedis)];
  servers.push(spawn(server, options, { stdio: "ignore" }));
  await ddcli("network", "create", "bench");
  await ddcli("run", "-d", "--name", "redis", "--network", "bench", "host", ...REDIS);
  await ddcli("run", "-d", "--name", "client", "--network", "bench", "host", "sleep", "3600");
  for (const port of [native, nativeRedis, published]) await until(() => listens(port));
  await until(async () => /ready to accept/i.test(await ddcli("logs", "redis")));
  return [
    {
      claim: "HTTP through a published port has at least 0.9 of the host's throughput",
      unit: "ms",
      rounds: ROUNDS,
      pair: { dd: () => http(published), native: () => http(native) },
      holds: (container, host) => container <= host / 0.9,
    },
    {
      claim:
        "redis between two containers has at least 0.9 of its throughput over the host's loopback",
      unit: "ms",
      rounds: ROUNDS,
      pair: {
        dd: () => redis((...command) => ddcli("exec", "client", ...command), "redis", 6379),
        native: () => redis(onHost, "127.0.0.1", nativeRedis),
      },
      holds: (between, loopback) => between <= loopback / 0.9,
    },
  ];
}

async function leave(): Promise<void> {
  for (const child of servers) {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  await dd.close();
  rmSync(directory, { recursive: true, force: true });
}

await main(import.meta.url, claims).finally(leave);
