/**
 * Claim: a pull from loopback unpacks at least 100 MB/s on one core.
 *
 * An image of three layers is made of this machine's own programs and libraries, served by another
 * process on another core, and pulled into an empty store by a process that may use one core only:
 * transfer, digests, gunzip, packs, index and fsync. Beside it, on the same core in the same run, what
 * has to be done at least (gunzip and two digests, by the system's tools) and what extraction
 * costs (tar -xz to the same disk, without digests).
 *
 *     node build/js/bench/pull.js [rounds]
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createReadStream, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ImageStore } from "../sentry/image/image-store.ts";
import { pull } from "../sentry/image/pull.ts";

const SELF = fileURLToPath(import.meta.url);
const PULLING_CPU = "0";
const SERVING_CPU = availableParallelism() > 1 ? "1" : "0";
const LAYERS: readonly (readonly string[])[] = [
  ["usr/bin", "usr/sbin"],
  ["usr/share/perl", "usr/lib/python3", "usr/include", "etc/ssl"],
  ["usr/lib/gcc", "usr/lib/git-core", "usr/share/zoneinfo"],
];

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function sh(script: string, ...args: readonly string[]): string {
  return execFileSync("sh", ["-c", script, "sh", ...args], { encoding: "utf8" }).trim();
}

/** Milliseconds that a shell script takes on the pulling core. */
function timed(script: string, ...args: readonly string[]): number {
  const since = performance.now();
  spawnSync("taskset", ["-c", PULLING_CPU, "sh", "-c", script, "sh", ...args]);
  return performance.now() - since;
}

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Makes the image in `directory`: blobs by their digests, and `manifest`; returns the unpacked size. */
function makeImage(directory: string): number {
  let unpacked = 0;
  const diffIds: string[] = [];
  const add = (mediaType: string, path: string): Blob => {
    const digest = sh('sha256sum "$1" | cut -c-64', path);
    const size = statSync(path).size;
    sh('mv "$1" "$2"', path, join(directory, digest));
    return { mediaType, digest: `sha256:${digest}`, size };
  };
  const layers = LAYERS.map((paths) => {
    const tar = join(directory, "layer.tar");
    sh('tar -C / --ignore-failed-read -cf "$1" $2 2>/dev/null || true', tar, paths.join(" "));
    unpacked += statSync(tar).size;
    diffIds.push(`sha256:${sh('sha256sum "$1" | cut -c-64', tar)}`);
    sh('gzip -6 "$1"', tar);
    return add("application/vnd.oci.image.layer.v1.tar+gzip", `${tar}.gz`);
  });
  const config = join(directory, "config");
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const rootfs = { type: "layers", diff_ids: diffIds };
  writeFileSync(config, JSON.stringify({ architecture, os: "linux", rootfs }));
  const manifest = {
    schemaVersion: 2,
    config: add("application/vnd.oci.image.config.v1+json", config),
    layers,
  };
  writeFileSync(join(directory, "manifest"), JSON.stringify(manifest));
  return unpacked;
}

/** The least of a registry: what is in `directory`, on a free port, which is printed. */
function serve(directory: string): void {
  const server = createServer((request, response) => {
    const name = (request.url ?? "").split(/[/:]/).at(-1) ?? "";
    if (request.url === "/v2/") response.end("{}");
    else if (name === "latest") {
      response.setHeader("content-type", "application/vnd.oci.image.manifest.v1+json");
      createReadStream(join(directory, "manifest")).pipe(response);
    } else createReadStream(join(directory, name), { highWaterMark: 1 << 20 }).pipe(response);
  });
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    process.stdout.write(`${typeof address === "object" ? address?.port : ""}\n`);
  });
}

async function pullOnce(name: string, root: string): Promise<void> {
  const since = performance.now();
  await pull(new ImageStore(root), name);
  const { user, system } = { ...process.cpuUsage() };
  process.stdout.write(
    JSON.stringify({ ms: performance.now() - since, cpuMs: (user + system) / 1000 }),
  );
}

async function main(rounds: number): Promise<void> {
  const directory = mkdtempSync(join(process.env["DD_BENCH_DIR"] ?? tmpdir(), "dd-bench-pull-"));
  const server = spawn("taskset", ["-c", SERVING_CPU, process.execPath, SELF, "serve", directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const port = String(await once(server.stdout, "data")).trim();
    const unpacked = makeImage(directory);
    const manifest = join(directory, "manifest");
    const blobs = sh(
      `grep -o '"mediaType":"[^"]*gzip","digest":"sha256:[0-9a-f]*' "$1" | cut -d: -f4`,
      manifest,
    )
      .split("\n")
      .map((hex) => join(directory, hex));
    const files = blobs.join(" ");
    const out = join(directory, "out");
    const pulls: number[] = [];
    const cpu: number[] = [];
    const least: number[] = [];
    const extraction: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const root = join(directory, "root");
      const child = [
        "-c",
        PULLING_CPU,
        process.execPath,
        SELF,
        "pull",
        `127.0.0.1:${port}/bench`,
        root,
      ];
      const { ms, cpuMs } = JSON.parse(execFileSync("taskset", child, { encoding: "utf8" }));
      pulls.push(ms);
      cpu.push(cpuMs);
      rmSync(root, { recursive: true });
      least.push(timed("for f in $1; do sha256sum $f; gzip -dc $f | sha256sum; done", files));
      extraction.push(
        timed("for f in $1; do mkdir -p $2; tar -C $2 -xzf $f; done; sync -f $2", files, out),
      );
      rmSync(out, { recursive: true, force: true });
    }
    const rate = (ms: number): string => `${(unpacked / 1000 / ms).toFixed(0)} MB/s`;
    const [pulled, floor, extracted] = [pulls, least, extraction].map(median) as [
      number,
      number,
      number,
    ];
    process.stdout.write(
      `${(unpacked / 1e6).toFixed(0)} MB unpacked, median of ${rounds} rounds, on one core\n` +
        `pull                 ${pulled.toFixed(0)} ms  ${rate(pulled)}  (claim: at least 100 MB/s)\n` +
        `pull, CPU time       ${median(cpu).toFixed(0)} ms  ${rate(median(cpu))}\n` +
        `gzip and 2x sha256   ${floor.toFixed(0)} ms  pull is ${(pulled / floor).toFixed(2)}x\n` +
        `tar -xz and sync     ${extracted.toFixed(0)} ms  pull is ${(pulled / extracted).toFixed(2)}x\n`,
    );
    if (unpacked / 1000 / pulled < 100) process.exitCode = 1;
  } finally {
    server.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}

const [mode = "3", ...rest] = process.argv.slice(2);
if (mode === "serve") serve(rest[0] ?? ".");
else if (mode === "pull") await pullOnce(rest[0] ?? "", rest[1] ?? "");
else await main(Number(mode));
