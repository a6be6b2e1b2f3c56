import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Nobody has asked for anything for so long. */
const IDLE_MS = 3_000;

/**
 * Gives back what the work before has left, once nothing more comes: V8 itself collects only when more is
 * allocated, which in a daemon at rest never happens.
 */
export class IdleCollector {
  private readonly timer: NodeJS.Timeout;

  constructor() {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    this.timer = setTimeout(collect, IDLE_MS);
    this.timer.unref();
  }

  /** Something happens. */
  stir(): void {
    this.timer.refresh();
  }

  close(): void {
    clearTimeout(this.timer);
  }
}
