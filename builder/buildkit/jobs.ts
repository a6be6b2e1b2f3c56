import { Progress, type ProgressEvent } from "../solve/progress.ts";
import type { Solved } from "../solve/solver.ts";
import type { ExportOrder } from "./exporters.ts";

/** Events of one build that are kept for who asks late. */
const EVENTS_MAX = 200_000;
/** How long the events of a build that is over are kept. */
const KEPT_MS = 60_000;

/** A result that waits to be exported: everything of it stays until it is let go of. */
export interface HeldResult {
  readonly id: string;
  readonly solved: Solved;
  /** Ends the holding. Resolves when everything is put away. */
  release(): Promise<void>;
}

/** A client's word on how its part of the build has ended. */
export type Returned =
  | { readonly kind: "result"; readonly ids: readonly string[] }
  | { readonly kind: "error"; readonly message: string; readonly code: number };

/** One build as clients see it: named by a reference of theirs, with its events and its results. */
export class Job {
  readonly progress = new Progress((event) => this.#take(event));
  readonly results = new Map<string, HeldResult>();
  readonly abort = new AbortController();
  readonly returned: Promise<Returned>;
  /** What the build has ended with, when it was an error: clients only pass its words on. */
  failure: unknown;
  /** Of the session that belongs to the build. */
  sessionId = "";
  /** Where the results are to go. */
  orders: readonly ExportOrder[] = [];
  /** Rights that the client's user has given to the build. */
  entitlements: ReadonlySet<string> = new Set();
  /** Whether somebody has asked for the build, and not only for its events. */
  began = false;
  answer: (returned: Returned) => void = () => {};
  readonly #events: ProgressEvent[] = [];
  #listeners: (() => void)[] = [];
  #ended = false;

  constructor() {
    this.returned = new Promise((resolve) => {
      this.answer = resolve;
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Everything that happens, from the beginning to the end. */
  async *events(signal: AbortSignal): AsyncGenerator<ProgressEvent, void, void> {
    const wake = () => this.#wake();
    signal.addEventListener("abort", wake);
    try {
      for (let at = 0; !signal.aborted; at++) {
        while (at >= this.#events.length && !this.#ended && !signal.aborted) {
          await new Promise<void>((resolve) => this.#listeners.push(resolve));
        }
        const event = this.#events[at];
        if (event === undefined) return;
        yield event;
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }

  /** The build is over: lets go of what it holds. */
  async end(): Promise<void> {
    await Promise.all([...this.results.values()].map((result) => result.release()));
    this.results.clear();
    this.#ended = true;
    this.#wake();
  }

  #take(event: ProgressEvent): void {
    if (this.#events.length < EVENTS_MAX || event.kind === "vertex") this.#events.push(event);
    this.#wake();
  }

  #wake(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const tell of listeners) tell();
  }
}

/** The builds that go on, and those that were over a moment ago. */
export class Jobs {
  readonly #jobs = new Map<string, Job>();

  /** The job of that name; whoever asks first makes it. */
  get(ref: string): Job {
    const known = this.#jobs.get(ref);
    if (known !== undefined) return known;
    const job = new Job();
    this.#jobs.set(ref, job);
    return job;
  }

  find(ref: string): Job | undefined {
    return this.#jobs.get(ref);
  }

  /** Somebody has asked for its events, and asks no more. */
  leave(ref: string): void {
    if (this.#jobs.get(ref)?.began === false) this.#jobs.delete(ref);
  }

  /** Forgets the job in a while: its events may still be read. */
  forget(ref: string): void {
    setTimeout(() => this.#jobs.delete(ref), KEPT_MS).unref();
  }

  closeAll(): void {
    for (const job of this.#jobs.values()) job.abort.abort();
  }
}
