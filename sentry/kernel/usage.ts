/** What a process or thread has consumed. Members that the host does not tell are 0. See getrusage(2). */
export interface Usage {
  readonly userNs: bigint;
  readonly systemNs: bigint;
  /** The most memory it had resident at a time, in bytes. */
  readonly maxResidentBytes: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
}

/** Nothing. */
export const NO_USAGE: Usage = Object.freeze({
  userNs: 0n,
  systemNs: 0n,
  maxResidentBytes: 0,
  minorFaults: 0,
  majorFaults: 0,
  voluntarySwitches: 0,
  involuntarySwitches: 0,
});

/** The usage of both together. */
export function addUsage(a: Usage, b: Usage): Usage {
  return {
    userNs: a.userNs + b.userNs,
    systemNs: a.systemNs + b.systemNs,
    maxResidentBytes: Math.max(a.maxResidentBytes, b.maxResidentBytes),
    minorFaults: a.minorFaults + b.minorFaults,
    majorFaults: a.majorFaults + b.majorFaults,
    voluntarySwitches: a.voluntarySwitches + b.voluntarySwitches,
    involuntarySwitches: a.involuntarySwitches + b.involuntarySwitches,
  };
}
