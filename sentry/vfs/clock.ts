const STEP_TOLERANCE_NS = 2_000_000n;
let offsetNs = 0n;

/**
 * The wall clock as files are stamped with it: nanoseconds since the epoch. Fine-grained, and in step
 * with the host's clock, which stamps the bytes, also after that has been set.
 */
export function wallClockNs(): bigint {
  const monotonic = process.hrtime.bigint();
  const coarse = BigInt(Date.now()) * 1_000_000n;
  const error = monotonic + offsetNs - coarse;
  if (error < 0n || error > STEP_TOLERANCE_NS) offsetNs = coarse - monotonic;
  return monotonic + offsetNs;
}
