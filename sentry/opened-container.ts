/** A container that does not run, opened for its files: its tree without a kernel, a machine or a process. */

import { ESRCH } from "./abi/errno.ts";
import { TreeFiles } from "./archive/container-files.ts";
import { confineSentry } from "./confine-sentry.ts";
import { buildMounts, type ContainerTree } from "./fs/build-mounts.ts";
import { EpollReactor } from "./host/epoll-reactor.ts";
import { RingHub } from "./machine/hub.ts";
import { SentryLoop } from "./machine/loop.ts";
import { openLower } from "./open-lower.ts";
import type {
  ContainerFiles,
  ContainerSpec,
  ContainerStats,
  SentryContainer,
  StartFailure,
} from "./spec.ts";

const NOT_RUNNING: StartFailure = {
  errno: ESRCH,
  what: "container",
  message: "the container is not running",
};

const NOTHING_USED: ContainerStats = {
  cpuMs: 0,
  cpuUserNs: 0,
  cpuSystemNs: 0,
  memoryBytes: 0,
  sentryMemoryBytes: 0,
  memoryLimitBytes: undefined,
  pids: 0,
  pidsLimit: undefined,
  interfaces: [],
  blockReadBytes: 0,
  blockWriteBytes: 0,
};

/**
 * See {@link SentryContainer}: everything but its files is that of a container without processes. In
 * untrusted mode this process is confined as a sentry is, before it looks at anything of the guest's.
 */
export class OpenedContainer implements SentryContainer {
  readonly reactor = new EpollReactor();
  readonly files: ContainerFiles;
  readonly #tree: ContainerTree;
  readonly #loop: SentryLoop;

  constructor(spec: ContainerSpec) {
    if (spec.mode === "untrusted") confineSentry(spec);
    this.#tree = buildMounts({
      lower: openLower(spec),
      upper: spec.rootfs.upper,
      readOnly: spec.rootfs.readOnly,
      mounts: spec.mounts,
      scratch: `${spec.rootfs.upper}/scratch`,
      etc: new Map(),
      reactor: this.reactor,
    });
    this.files = new TreeFiles(this.#tree);
    // No executor has a ring of this hub.
    const nobody = { submitted: () => {}, violated: () => {} };
    this.#loop = new SentryLoop(new RingHub(), this.reactor, nobody);
    this.#loop.start();
  }

  start(): StartFailure {
    return NOT_RUNNING;
  }

  exec(): StartFailure {
    return NOT_RUNNING;
  }

  processes(): [] {
    return [];
  }

  stats(): ContainerStats {
    return NOTHING_USED;
  }

  readonly isPaused = false;

  setPaused(): void {}

  update(): [] {
    return [];
  }

  publishedPorts(): [] {
    return [];
  }

  /** It joins its networks when it starts. */
  attachNetwork(): void {}

  detachNetwork(): void {}

  confinement(): [] {
    return [];
  }

  close(): undefined {
    this.#loop.stop();
    this.#tree.release();
    this.reactor.close();
  }
}
