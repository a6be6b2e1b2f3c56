/**
 * Claims about docker's clients: `docker run --rm` and `docker exec`, with the client that is part of both, and
 * two hundred containers one after the other.
 */
import { readFileSync } from "node:fs";
import { dockerClients, openEngine, type TestEngine } from "../test/fixtures/engine.ts";
import { image } from "../test/fixtures/images.ts";
import { type Claim, main } from "./claim.ts";
import { wallTime } from "./setting.ts";

const ROUNDS = 21;
const RUN_MS_MAX = 120;
const EXEC_MS_MAX = 80;
const SEQUENCE = 200;
const GROWTH_MIB_MAX = 8;
const REST_MS = 6_000;
const IMAGE = "busybox:test";

let engine: TestEngine | undefined;

export async function claims(): Promise<readonly Claim[]> {
  const started = await openEngine();
  engine = started;
  await started.dd.load(image("busybox"));
  const [client = ""] = dockerClients();
  const docker = (...words: readonly string[]) => wallTime([client, ...words], started.env);
  await docker("run", "-d", "--name", "bench", IMAGE, "sleep", "100000");
  const run = () => docker("run", "--rm", IMAGE, "true");
  const clientAlone = () => docker("version");
  return [
    {
      claim: `docker run --rm of the 2 MB image takes at most ${RUN_MS_MAX} ms (native: the client alone)`,
      unit: "ms",
      rounds: ROUNDS,
      pair: { dd: run, native: clientAlone },
      holds: (dd) => dd <= RUN_MS_MAX,
      idleOnly: true,
    },
    {
      claim: `docker exec true takes at most ${EXEC_MS_MAX} ms (native: the client alone)`,
      unit: "ms",
      rounds: ROUNDS,
      pair: { dd: () => docker("exec", "bench", "true"), native: clientAlone },
      holds: (dd) => dd <= EXEC_MS_MAX,
      idleOnly: true,
    },
    {
      claim: `${SEQUENCE} containers one after the other leave the daemon at rest at most ${GROWTH_MIB_MAX} MiB larger`,
      unit: "MiB",
      rounds: 1,
      pair: {
        dd: async () => {
          for (let i = 0; i < SEQUENCE; i++) await run();
          return atRest(started.pid());
        },
        native: () => atRest(started.pid()),
      },
      holds: (after, before) => after - before <= GROWTH_MIB_MAX,
      idleOnly: true,
    },
  ];
}

/** MiB the daemon holds once it has given back what the work before has left: see daemon/idle.ts. */
async function atRest(pid: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  return residentMib(pid);
}

function residentMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
}

await main(import.meta.url, claims).finally(() => engine?.close());
