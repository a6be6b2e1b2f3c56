import { BackgroundProcess } from "../../sentry/container/background.ts";
import type { Directories } from "../../sentry/container/directories.ts";

/** Who has started one container may soon start another: a process waits for that so long. */
const KEEP_MS = 20_000;
/** A container that has just started needs the processors itself. */
const DELAY_MS = 300;

/**
 * At most one process that is ready to become a container's: what takes longest of a start has then been done
 * before it is asked for. There is none before the first container, and none long after the last.
 */
export class Reserve {
  private readonly program: string;
  private readonly directories: Directories;
  private spare: BackgroundProcess | undefined;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(program: string, directories: Directories) {
    this.program = program;
    this.directories = directories;
  }

  /** A process to start a container in; the caller's from now on. */
  take(): BackgroundProcess {
    const { spare } = this;
    this.spare = undefined;
    return spare?.isReady === true ? spare : this.spawn();
  }

  /** A container is about to be started. */
  prepare(): void {
    clearTimeout(this.timer);
    if (this.closed) return;
    if (this.spare?.isReady !== true) this.spare = this.spawn();
    this.timer = setTimeout(() => this.dismiss(), KEEP_MS);
    this.timer.unref();
  }

  /** A container has been started: others may follow. */
  prepareLater(): void {
    if (this.closed || this.spare !== undefined) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.prepare(), DELAY_MS);
    this.timer.unref();
  }

  close(): void {
    this.closed = true;
    this.dismiss();
  }

  private spawn(): BackgroundProcess {
    return BackgroundProcess.spawn(this.program, this.directories);
  }

  private dismiss(): void {
    clearTimeout(this.timer);
    this.spare?.dismiss();
    this.spare = undefined;
  }
}
