import type { ContainerState, RestartPolicy } from "../../sentry/container/record.ts";

const FIRST_DELAY_MS = 100;
const DELAY_MS_MAX = 60_000;
/** A run that lasted so long was a good one: the next delay is the first one again. */
const GOOD_RUN_MS = 10_000;

/** Restart policies: whether a container that has ended is started again, and when. As docker's. */
export class Restarts {
  private readonly launch: (id: string, count: number) => Promise<void>;
  /** From the decision to start again to the start; undefined once it is on its way. */
  private readonly pending = new Map<string, NodeJS.Timeout | undefined>();
  private readonly delays = new Map<string, number>();
  /** Containers whose end was asked for through this daemon. */
  private readonly forbidden = new Set<string>();

  /** @param launch starts the container for the count-th time. */
  constructor(launch: (id: string, count: number) => Promise<void>) {
    this.launch = launch;
  }

  isPending(id: string): boolean {
    return this.pending.has(id);
  }

  /** @returns whether a restart was about to happen. */
  cancel(id: string): boolean {
    clearTimeout(this.pending.get(id));
    return this.pending.delete(id);
  }

  /** The coming end is wished. */
  forbid(id: string): void {
    this.forbidden.add(id);
  }

  /** It is started by hand: the past is forgotten. */
  reset(id: string): void {
    this.cancel(id);
    this.forbidden.delete(id);
    this.delays.delete(id);
  }

  close(): void {
    for (const id of [...this.pending.keys()]) this.cancel(id);
  }

  /** Whether a daemon that has just started is to start the container. */
  isDueAtStart(policy: RestartPolicy | undefined, state: ContainerState): boolean {
    if (policy === undefined || state.status !== "exited") return false;
    if (policy.name === "always") return true;
    if (state.stopped === true) return false;
    return policy.name === "unless-stopped" || this.allows(policy, state);
  }

  /** Starts it again after a while, when its policy says so. */
  afterExit(
    id: string,
    policy: RestartPolicy | undefined,
    state: ContainerState | undefined,
    startedAt: number,
  ): void {
    const wished = this.forbidden.delete(id);
    if (policy === undefined || wished || state?.status !== "exited") return;
    if (state.stopped === true || state.startedAt === 0 || !this.allows(policy, state)) {
      this.delays.delete(id);
      return;
    }
    const good = Date.now() - startedAt >= GOOD_RUN_MS;
    const delay = good ? FIRST_DELAY_MS : (this.delays.get(id) ?? FIRST_DELAY_MS);
    this.delays.set(id, Math.min(delay * 2, DELAY_MS_MAX));
    this.schedule(id, (state.restartCount ?? 0) + 1, delay);
  }

  schedule(id: string, count: number, delayMs: number): void {
    const timer = setTimeout(() => {
      this.pending.set(id, undefined);
      this.launch(id, count).finally(() => {
        if (this.pending.get(id) === undefined) this.pending.delete(id);
      });
    }, delayMs);
    this.pending.set(id, timer);
  }

  private allows(
    { name, maximumRetryCount }: RestartPolicy,
    state: ContainerState & { readonly status: "exited" },
  ): boolean {
    if (name !== "on-failure") return true;
    const retries = state.restartCount ?? 0;
    return state.exitCode !== 0 && (maximumRetryCount === 0 || retries < maximumRetryCount);
  }
}
