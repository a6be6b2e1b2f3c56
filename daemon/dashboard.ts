import { watch } from "node:fs";
import type { Server } from "node:http";
import type { DashboardEngine } from "../api/engine/dashboard.ts";
import type { JsonObject } from "../api/engine/json.ts";
import { readEgressLog } from "../sentry/container/network/egress-log.ts";
import type { EgressAttempt } from "../sentry/spec.ts";
import type { DaemonContext } from "./context.ts";
import { DashboardListener } from "./dashboard/listener.ts";
import { refusing } from "./refusals.ts";

/** The dashboard's listener, made when it is first asked for, and what its page shows beyond docker's API. */
export class Dashboard implements DashboardEngine {
  private readonly context: DaemonContext;
  private readonly makeApi: () => Promise<Server>;
  private listener: Promise<DashboardListener> | undefined;

  /** @param makeApi makes a server of the Engine API that does not listen. */
  constructor(context: DaemonContext, makeApi: () => Promise<Server>) {
    this.context = context;
    this.makeApi = makeApi;
  }

  async open(): Promise<{ readonly Url: string }> {
    this.listener ??= this.listen();
    return { Url: (await this.listener).link() };
  }

  async egress(
    reference: string,
    follow: boolean,
    gone: AbortSignal,
  ): Promise<AsyncIterable<JsonObject>> {
    const { store } = this.context;
    const { record } = refusing(reference, () => store.find(reference));
    const directory = store.directoryOf(record.spec.id);
    return follow ? attemptsAsTheyCome(directory, gone) : attemptsOf(readEgressLog(directory));
  }

  close(): void {
    this.listener?.then(
      (listener) => listener.close(),
      () => {},
    );
  }

  private async listen(): Promise<DashboardListener> {
    const listener = new DashboardListener(this.context.pageDirectory, await this.makeApi());
    await listener.listen();
    return listener;
  }
}

function describe({ time, protocol, host, port, names, allowed, rule }: EgressAttempt): JsonObject {
  return {
    Time: time,
    Protocol: protocol,
    Host: host,
    Port: port,
    Names: names,
    Allowed: allowed,
    Rule: rule,
  };
}

async function* attemptsOf(attempts: readonly EgressAttempt[]): AsyncIterable<JsonObject> {
  for (const attempt of attempts) yield describe(attempt);
}

async function* attemptsAsTheyCome(
  directory: string,
  gone: AbortSignal,
): AsyncIterable<JsonObject> {
  let wake = () => {};
  const watcher = watch(directory, { signal: gone }, () => wake());
  watcher.on("error", () => wake());
  gone.addEventListener("abort", () => wake());
  let last: EgressAttempt | undefined;
  let toldOfTime = 0;
  try {
    while (!gone.aborted) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const attempts = readEgressLog(directory);
      // Several may have the same time: those after the last one told, by its place among them.
      const sameTime = attempts.filter(({ time }) => time === last?.time);
      const fresh = attempts.filter(({ time }) => last === undefined || time > last.time);
      for (const attempt of [...sameTime.slice(toldOfTime), ...fresh]) {
        toldOfTime = attempt.time === last?.time ? toldOfTime + 1 : 1;
        last = attempt;
        yield describe(attempt);
      }
      await changed;
    }
  } finally {
    watcher.close();
  }
}
