import { createHash, randomUUID } from "node:crypto";
import type { SourceRange } from "../errors.ts";

/** A piece of a build's work, as clients draw it. */
export interface Vertex {
  /** `sha256:...`; of this build alone. */
  readonly digest: string;
  /** `[stage 2/5] RUN ...`, `[internal] load ...`, `exporting to image`. */
  readonly name: string;
  readonly inputs: readonly string[];
}

/** What happens in a build. Times are milliseconds since the epoch. */
export type ProgressEvent =
  | {
      readonly kind: "vertex";
      readonly vertex: Vertex;
      readonly startedAt: number;
      readonly completedAt?: number;
      readonly cached: boolean;
      readonly error?: string;
    }
  /** A part of a vertex's work: a layer that is fetched, a file that is written. */
  | {
      readonly kind: "status";
      readonly vertex: Vertex;
      readonly id: string;
      readonly current: number;
      readonly total: number;
      readonly startedAt: number;
      readonly completedAt?: number;
      readonly at: number;
    }
  | {
      readonly kind: "log";
      readonly vertex: Vertex;
      /** 1: output, 2: errors. */
      readonly stream: 1 | 2;
      readonly bytes: Uint8Array;
      readonly at: number;
    }
  | { readonly kind: "warning"; readonly vertex: Vertex; readonly warning: BuildWarning };

/** Something odd that a build has found. */
export interface BuildWarning {
  /** In one line. */
  readonly message: string;
  readonly detail: string;
  /** Where it is explained; empty: nowhere. */
  readonly url: string;
  /** The Dockerfile that it is about, and where in it. */
  readonly source: { readonly name: string; readonly dockerfile: Uint8Array };
  readonly range: SourceRange;
}

export type ProgressListener = (event: ProgressEvent) => void;

/** What the work of a vertex can tell while it goes on. */
export interface VertexReport {
  readonly vertex: Vertex;
  /** Nothing had to be done: the result was known. */
  cached(): void;
  log(stream: 1 | 2, bytes: Uint8Array): void;
  /** Runs a named part of the work. */
  part<T>(id: string, work: () => Promise<T>): Promise<T>;
  /** Tells how far a part is. */
  advance(id: string, current: number, total: number): void;
}

/** One build's progress: vertices are begun and ended here, whatever their work does. */
export class Progress {
  readonly #listener: ProgressListener;
  readonly #build = randomUUID();
  #count = 0;

  constructor(listener: ProgressListener) {
    this.#listener = listener;
  }

  /** Does `work` as a vertex. */
  async run<T>(
    name: string,
    inputs: readonly string[],
    work: (report: VertexReport) => Promise<T>,
  ): Promise<T> {
    const vertex = this.#vertex(name, inputs);
    const startedAt = Date.now();
    /** Parts that have been told of and are not over. */
    const started = new Map<string, { startedAt: number; current: number; total: number }>();
    let cached = false;
    const tell = this.#listener;
    tell({ kind: "vertex", vertex, startedAt, cached: false });
    const advance = (id: string, current: number, total: number, completedAt?: number): void => {
      const at = Date.now();
      const partStartedAt = started.get(id)?.startedAt ?? at;
      if (completedAt === undefined) started.set(id, { startedAt: partStartedAt, current, total });
      else started.delete(id);
      const end = completedAt === undefined ? {} : { completedAt };
      tell({ kind: "status", vertex, id, current, total, startedAt: partStartedAt, at, ...end });
    };
    const report: VertexReport = {
      vertex,
      cached: () => {
        cached = true;
      },
      log: (stream, bytes) => tell({ kind: "log", vertex, stream, bytes, at: Date.now() }),
      advance,
      part: async (id, part) => {
        advance(id, 0, 0);
        const result = await part();
        advance(id, 0, 0, Date.now());
        return result;
      },
    };
    const finish = () => {
      for (const [id, { current, total }] of started) advance(id, current, total, Date.now());
    };
    try {
      const result = await work(report);
      finish();
      tell({ kind: "vertex", vertex, startedAt, completedAt: Date.now(), cached });
      return result;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      tell({ kind: "vertex", vertex, startedAt, completedAt: Date.now(), cached, error: text });
      throw error;
    }
  }

  /** Tells of something odd about what a vertex has read. */
  warn(vertex: Vertex, warning: BuildWarning): void {
    this.#listener({ kind: "warning", vertex, warning });
  }

  #vertex(name: string, inputs: readonly string[]): Vertex {
    const hash = createHash("sha256").update(`${this.#build} ${this.#count++}`);
    return { digest: `sha256:${hash.digest("hex")}`, name, inputs };
  }
}
