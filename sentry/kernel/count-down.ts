import type { Reactor, Timer } from "../host/reactor.ts";
import { type Clock, clockNow } from "./clocks.ts";

/** The shortest gap between two looks at a clock that may stand still. */
const CPU_POLL_NS = 10_000_000n;
/** A period shorter than this fires as often as this, and counts what it missed: the sentry has other work. */
const SHORTEST_PERIOD_NS = 100_000n;

/** A time and a period, in nanoseconds; 0: disarmed, or once only. */
export interface TimerSetting {
  readonly valueNs: bigint;
  readonly intervalNs: bigint;
}

/** A clock that counts down: what setitimer(2), timer_settime(2) and alarm(2) arm. */
export class CountDown {
  readonly #reactor: Reactor;
  readonly #clock: Clock;
  readonly #expired: (times: number) => void;
  #deadlineNs = 0n;
  #intervalNs = 0n;
  #armed: Timer | undefined;

  /** @param expired called with how many periods have passed since the last call. */
  constructor(reactor: Reactor, clock: Clock, expired: (times: number) => void) {
    this.#reactor = reactor;
    this.#clock = clock;
    this.#expired = expired;
  }

  /** What is left, on the timer's clock; at least 1 while it is armed. */
  get(): TimerSetting {
    if (this.#armed === undefined) return { valueNs: 0n, intervalNs: this.#intervalNs };
    const left = this.#deadlineNs - clockNow(this.#clock);
    return { valueNs: left > 0n ? left : 1n, intervalNs: this.#intervalNs };
  }

  /** Arms it, or disarms it with a value of 0. @param absolute whether the value is a time of its clock. */
  set(setting: TimerSetting, absolute: boolean): void {
    this.cancel();
    this.#intervalNs = setting.intervalNs;
    if (setting.valueNs === 0n) return;
    this.#deadlineNs = absolute ? setting.valueNs : clockNow(this.#clock) + setting.valueNs;
    this.#arm();
  }

  /** Periods that have passed by now and were not told of yet; they will not be told of again. */
  catchUp(): number {
    const late = clockNow(this.#clock) - this.#deadlineNs;
    if (this.#armed === undefined || this.#intervalNs === 0n || late < 0n) return 0;
    this.cancel();
    const times = this.#passed(late);
    this.#arm(SHORTEST_PERIOD_NS);
    return times;
  }

  cancel(): void {
    this.#armed?.cancel();
    this.#armed = undefined;
  }

  #arm(leastNs = 0n): void {
    const left = this.#deadlineNs - clockNow(this.#clock);
    const { kind } = this.#clock;
    const mayStandStill = kind === "process" || kind === "thread";
    const shortest = mayStandStill && left > 0n ? CPU_POLL_NS : leastNs;
    const wait = left > shortest ? left : shortest;
    this.#armed = this.#reactor.at(this.#reactor.now() + wait, () => this.#fire());
  }

  #fire(): void {
    const late = clockNow(this.#clock) - this.#deadlineNs;
    if (late < 0n) {
      this.#arm();
      return;
    }
    let times = 1;
    this.#armed = undefined;
    if (this.#intervalNs > 0n) {
      times = this.#passed(late);
      this.#arm(SHORTEST_PERIOD_NS);
    }
    this.#expired(times);
  }

  /** Moves the deadline to the next period. @returns how many have passed. */
  #passed(lateNs: bigint): number {
    const times = lateNs / this.#intervalNs + 1n;
    this.#deadlineNs += times * this.#intervalNs;
    return Number(times);
  }
}
