import type { UlimitName } from "../spec.ts";

const NAMES: Readonly<Record<UlimitName, true>> = {
  core: true,
  cpu: true,
  data: true,
  fsize: true,
  locks: true,
  memlock: true,
  msgqueue: true,
  nice: true,
  nofile: true,
  nproc: true,
  rss: true,
  rtprio: true,
  rttime: true,
  sigpending: true,
  stack: true,
};

/** Names of all ulimits. */
export const ULIMIT_NAMES = Object.keys(NAMES) as readonly UlimitName[];

export function isUlimit(name: string | null | undefined): name is UlimitName {
  return name != null && Object.hasOwn(NAMES, name);
}
