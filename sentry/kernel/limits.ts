import { EINVAL, EPERM, type Errno } from "../abi/errno.ts";

/** The resources of getrlimit(2), by their numbers. `<asm-generic/resource.h>` */
export const RLIMIT_CPU = 0;
export const RLIMIT_FSIZE = 1;
export const RLIMIT_DATA = 2;
export const RLIMIT_STACK = 3;
export const RLIMIT_CORE = 4;
export const RLIMIT_RSS = 5;
export const RLIMIT_NPROC = 6;
export const RLIMIT_NOFILE = 7;
export const RLIMIT_MEMLOCK = 8;
export const RLIMIT_AS = 9;
export const RLIMIT_LOCKS = 10;
export const RLIMIT_SIGPENDING = 11;
export const RLIMIT_MSGQUEUE = 12;
export const RLIMIT_NICE = 13;
export const RLIMIT_RTPRIO = 14;
export const RLIMIT_RTTIME = 15;
/** How many there are. */
export const RLIM_NLIMITS = 16;
/** No limit. */
export const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;

/** A soft and a hard limit. */
export interface Limit {
  readonly cur: bigint;
  readonly max: bigint;
}

const both = (value: bigint): Limit => ({ cur: value, max: value });

/** What a container's first process starts with unless `--ulimit` says otherwise; docker's defaults. */
const DEFAULTS: readonly Limit[] = (() => {
  const limits = new Array<Limit>(RLIM_NLIMITS).fill(both(RLIM_INFINITY));
  limits[RLIMIT_STACK] = { cur: 8n << 20n, max: RLIM_INFINITY };
  limits[RLIMIT_CORE] = { cur: 0n, max: RLIM_INFINITY };
  // systemd's soft limit: programs that close every number they may have (fakeroot, lsof, CPython's own
  // tests) take minutes with a million, and those that need more than this raise it themselves.
  limits[RLIMIT_NOFILE] = { cur: 1024n, max: 1n << 20n };
  limits[RLIMIT_MEMLOCK] = both(8n << 20n);
  limits[RLIMIT_SIGPENDING] = both(95_000n);
  limits[RLIMIT_MSGQUEUE] = both(819_200n);
  limits[RLIMIT_NICE] = both(0n);
  limits[RLIMIT_RTPRIO] = both(0n);
  return limits;
})();

/** The resource limits of one process. */
export class Limits {
  readonly #limits: Limit[];

  /** @param overrides replaces defaults, by resource number. */
  constructor(overrides: ReadonlyMap<number, Limit> = new Map()) {
    this.#limits = DEFAULTS.map((limit, resource) => overrides.get(resource) ?? limit);
  }

  /** @returns `EINVAL` for a resource Linux does not have. */
  get(resource: number): Limit | Errno {
    return this.#limits[resource] ?? EINVAL;
  }

  /** The soft limit as a number; infinity for none. */
  soft(resource: number): number {
    const cur = this.#limits[resource]?.cur ?? RLIM_INFINITY;
    return cur === RLIM_INFINITY ? Number.POSITIVE_INFINITY : Number(cur);
  }

  /**
   * See setrlimit(2).
   * @param privileged whether the caller has CAP_SYS_RESOURCE: then the hard limit may rise.
   * @returns `EINVAL` if the soft limit is above the hard one, `EPERM` for raising the hard one.
   */
  set(resource: number, limit: Limit, privileged: boolean): Errno | undefined {
    const old = this.#limits[resource];
    if (old === undefined || limit.cur > limit.max) return EINVAL;
    if (limit.max > old.max && !privileged) return EPERM;
    if (resource === RLIMIT_NOFILE && limit.max > 1n << 20n) return EPERM;
    // Linux cannot tell 0 seconds from no limit, and takes 1.
    const atOnce = resource === RLIMIT_CPU && limit.cur === 0n;
    this.#limits[resource] = atOnce ? { cur: 1n, max: limit.max } : limit;
    return undefined;
  }

  /** An independent copy, for fork. */
  copy(): Limits {
    return new Limits(new Map(this.#limits.entries()));
  }
}
