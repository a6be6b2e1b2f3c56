/** The claim about pulling: unpacked data per second and core, from a registry on loopback. */
import { statSync } from "node:fs";
import { openDd } from "../test/fixtures/dd.ts";
import { image } from "../test/fixtures/images.ts";
import { runProgram } from "../test/fixtures/program.ts";
import { openRegistry, type Registry } from "../test/fixtures/registry.ts";
import { type Claim, main } from "./claim.ts";

let registry: Registry | undefined;

/** Seconds that pulling the large image into an empty store takes, on one core. */
async function pull(from: string): Promise<number> {
  const dd = openDd();
  try {
    const start = performance.now();
    const { code, stderr } = await runProgram(
      ["taskset", "-c", "0", process.execPath, "cli/ddcli.js", "pull", from],
      { env: dd.env, timeoutMs: 120_000 },
    );
    if (code !== 0) throw new Error(`ddcli pull ended with ${code}: ${stderr}`);
    return (performance.now() - start) / 1000;
  } finally {
    await dd.close();
  }
}

export async function claims(): Promise<readonly Claim[]> {
  const debian = image("debian");
  registry = await openRegistry();
  const { host } = registry;
  const megabytes = statSync(debian.rootTar).size / 1e6;
  const archive = debian.ociArchive;
  return [
    {
      claim: `a pull from loopback unpacks at least 100 MB/s on one core (${megabytes.toFixed(0)} MB)`,
      unit: "s",
      rounds: 3,
      idleOnly: true,
      pair: {
        dd: () => pull(`${host}/debian:test`),
        // The same bytes inflated and hashed by the system's tools on the same core.
        native: async () => {
          const start = performance.now();
          const script = `tar -xOf ${archive} --wildcards './blobs/sha256/*' | gzip -dcq 2>/dev/null | sha256sum`;
          await runProgram(["taskset", "-c", "0", "sh", "-c", script], { timeoutMs: 120_000 });
          return (performance.now() - start) / 1000;
        },
      },
      holds: (seconds) => megabytes / seconds >= 100,
    },
  ];
}

await main(import.meta.url, claims).finally(() => registry?.close());
