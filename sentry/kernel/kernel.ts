import type { Reactor } from "../host/reactor.ts";

/** One container's kernel: everything its processes share. */
export class Kernel {
  readonly reactor: Reactor;

  constructor(reactor: Reactor) {
    this.reactor = reactor;
  }
}
