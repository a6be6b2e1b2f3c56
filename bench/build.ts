/** The claims about builds: ten steps that are known already, by docker's client and by ddcli. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEngine, type TestEngine } from "../test/fixtures/engine.ts";
import { image } from "../test/fixtures/images.ts";
import { type Claim, main } from "./claim.ts";
import { wallTime } from "./setting.ts";

const LIMIT_MS = 1000;
const context = mkdtempSync(join(tmpdir(), "dd-bench-build-"));
let engine: TestEngine | undefined;

/** A Dockerfile of ten steps that make files. */
function writeContext(): void {
  const steps = Array.from({ length: 5 }, (_, i) => [
    `COPY file-${i} /copied/`,
    `RUN cat /copied/file-${i} > /made-${i}`,
  ]).flat();
  writeFileSync(join(context, "Dockerfile"), ["FROM busybox:test", ...steps, ""].join("\n"));
  for (let i = 0; i < 5; i++) writeFileSync(join(context, `file-${i}`), `${i}\n`.repeat(1000));
}

export async function claims(): Promise<readonly Claim[]> {
  writeContext();
  engine = await openEngine();
  const { dd, env } = engine;
  await dd.load(image("busybox"));
  const classic = { ...env, DOCKER_BUILDKIT: "0" };
  // The client alone is part of it.
  const client = () => wallTime(["docker", "version"], env);
  const claim = (
    by: string,
    build: () => Promise<number>,
    native: Claim["pair"]["native"],
  ): Claim => ({
    claim: `a build of ten steps that are known takes less than a second, by ${by}`,
    unit: "ms",
    rounds: 10,
    idleOnly: true,
    pair: { dd: build, native },
    holds: (ms) => ms < LIMIT_MS,
  });
  return [
    claim(
      "docker's client (native: docker version)",
      () => wallTime(["docker", "build", "-q", "-t", "bench", context], classic),
      client,
    ),
    claim(
      "ddcli (native: node)",
      () => wallTime([process.execPath, "cli/ddcli.js", "build", "-q", context], dd.env),
      () => wallTime([process.execPath, "-e", "0"]),
    ),
  ];
}

await main(import.meta.url, claims).finally(async () => {
  await engine?.close();
  rmSync(context, { recursive: true, force: true });
});
