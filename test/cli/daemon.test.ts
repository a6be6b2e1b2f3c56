/** ddcli's commands about the daemon, and the docker context they install. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { openDd } from "../fixtures/dd.ts";
import { dockerClients } from "../fixtures/engine.ts";
import { runProgram } from "../fixtures/program.ts";

test("daemon start, status, a second start, stop; the socket is its owner's alone", async (t) => {
  const dd = openDd();
  t.teardown(() => dd.close());
  t.is((await dd.run(["daemon", "status"])).code, 1);
  const started = await dd.run(["daemon", "start"]);
  t.is(started.code, 0, started.stderr);
  const socket = started.stdout.trim();
  t.is(socket, join(dd.runDirectory, "docker.sock"));
  t.is(statSync(socket).mode & 0o777, 0o600);
  t.is(statSync(dd.runDirectory).mode & 0o777, 0o700);
  t.is((await dd.run(["daemon", "start"])).stdout.trim(), socket);
  const second = await dd.run(["daemon", "run"]);
  t.not(second.code, 0);
  t.regex(second.stderr, /A daemon runs already \(process \d+\)/);
  const status = JSON.parse((await dd.run(["daemon", "status", "--json"])).stdout) as object;
  t.like(status, { Running: true, Socket: socket });
  t.is((await dd.run(["daemon", "stop"])).code, 0);
  t.false(existsSync(socket));
  t.is((await dd.run(["daemon", "stop"])).code, 1);
});

test("context install selects the context dd, and uninstall leaves no trace", async (t) => {
  const dd = openDd();
  t.teardown(() => dd.close());
  const config = join(dd.root, "docker");
  mkdirSync(config, { recursive: true });
  const before = '{"auths":{"registry.example":{}},"currentContext":"elsewhere"}';
  writeFileSync(join(config, "config.json"), before);
  const { DOCKER_HOST: _host, DOCKER_CONTEXT: _context, ...env } = dd.env;
  const dockerEnv = { ...env, DOCKER_CONFIG: config };
  const ddcli = (...words: readonly string[]) => dd.run(words, { env: { DOCKER_CONFIG: config } });
  t.is((await ddcli("context", "install")).code, 0);
  const [client = ""] = dockerClients();
  const shown = await runProgram([client, "context", "inspect"], { env: dockerEnv });
  const [context] = JSON.parse(shown.stdout) as { Name: string; Endpoints: object }[];
  t.is(context?.Name, "dd");
  t.deepEqual(context?.Endpoints, {
    docker: { Host: `unix://${join(dd.runDirectory, "docker.sock")}`, SkipTLSVerify: false },
  });
  // Again changes nothing, and remembers what was there before the first time.
  await ddcli("context", "install");
  await ddcli("context", "uninstall");
  t.deepEqual(JSON.parse(readFileSync(join(config, "config.json"), "utf8")), JSON.parse(before));
  t.deepEqual(readdirSync(join(config, "contexts", "meta")), []);
});
