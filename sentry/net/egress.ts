/** What a container may reach outside of its networks, and the record of what it tried. */
import { type EgressRule, parseEgressRule, ruleAllows, ruleNames } from "../abi/egress-rule.ts";
import { type Endpoint, formatIp, type Ip } from "../abi/ip.ts";
import type { EgressAttempt, NetworkSpec, TransportProtocol } from "../spec.ts";

/** Addresses remembered with the names they were looked up by. */
const PINS_MAX = 4096;
/** A name's address is good for its time to live, but at least for this long: some are 0. */
const PIN_MS_MIN = 10_000;
/** Destinations of datagrams that were recorded lately, so that each is recorded once and not per datagram. */
const RECENT_MAX = 1024;
const RECENT_MS = 60_000;

/** One container's policy. Names count only as they were resolved through the container's own DNS. */
export class EgressPolicy {
  readonly mode: "open" | "closed" | "rules";
  readonly #rules: readonly EgressRule[];
  readonly #record: (attempt: EgressAttempt) => void;
  /** Until when an address goes by a name, in milliseconds since the epoch. */
  readonly #pins = new Map<Ip, Map<string, number>>();
  readonly #recent = new Map<string, number>();

  constructor(egress: NetworkSpec["egress"], record: (attempt: EgressAttempt) => void = () => {}) {
    this.mode = typeof egress === "string" ? egress : "rules";
    this.#rules =
      typeof egress === "string" ? [] : egress.flatMap((text) => parseEgressRule(text) ?? []);
    this.#record = record;
  }

  /** Whether a destination may be reached; the attempt is recorded. @param alias its name if it has a fixed one. */
  mayReach(to: Endpoint, protocol: TransportProtocol | "icmp", alias?: string): boolean {
    const names = [...this.#namesOf(to.ip), ...(alias === undefined ? [] : [alias])];
    const rule = this.#rules.find((each) => ruleAllows(each, to.ip, to.port, names));
    const allowed = this.mode === "open" || rule !== undefined;
    const host = formatIp(to.ip);
    const attempt = { protocol, host, port: to.port, names, allowed };
    if (protocol === "tcp" || this.#isNews(`${host} ${to.port} ${allowed}`)) {
      this.#record({ time: Date.now(), ...attempt, rule: rule?.text ?? this.#default });
    }
    return allowed;
  }

  /** Whether a name may be looked up outside; what may not is recorded. */
  mayResolve(name: string): boolean {
    const rule = this.#rules.find((each) => ruleNames(each, name));
    const allowed = this.mode === "open" || rule !== undefined;
    if (!allowed && this.#isNews(`dns ${name}`)) {
      const attempt = { protocol: "dns", host: name, port: 53, names: [], allowed } as const;
      this.#record({ time: Date.now(), ...attempt, rule: this.#default });
    }
    return allowed;
  }

  /** The container's DNS has told it an address for `name`. */
  pin(name: string, ip: Ip, ttlSeconds: number): void {
    if (this.mode === "closed") return;
    const names = this.#pins.get(ip) ?? new Map<string, number>();
    names.set(name.toLowerCase(), Date.now() + Math.max(ttlSeconds * 1000, PIN_MS_MIN));
    // The oldest go first.
    this.#pins.delete(ip);
    this.#pins.set(ip, names);
    for (const oldest of this.#pins.keys()) {
      if (this.#pins.size <= PINS_MAX) break;
      this.#pins.delete(oldest);
    }
  }

  get #default(): string {
    return this.mode === "open" ? "open" : "closed";
  }

  #namesOf(ip: Ip): readonly string[] {
    const now = Date.now();
    return [...(this.#pins.get(ip) ?? [])].filter(([, until]) => until > now).map(([name]) => name);
  }

  #isNews(key: string): boolean {
    const now = Date.now();
    if ((this.#recent.get(key) ?? 0) > now) return false;
    this.#recent.delete(key);
    this.#recent.set(key, now + RECENT_MS);
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= RECENT_MAX) break;
      this.#recent.delete(oldest);
    }
    return true;
  }
}
