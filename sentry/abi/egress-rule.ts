/** What an egress rule means: `host:port`, `*.domain:443`, `10.0.0.0/8`, `[fd00::1]:53`, `*:443`. */
import { type Ip, parseIp, Subnet } from "./ip.ts";

/** One rule of an egress policy. */
export interface EgressRule {
  /** As it was written. */
  readonly text: string;
  readonly target:
    | { readonly kind: "any" }
    | { readonly kind: "subnet"; readonly subnet: Subnet }
    /** `below`: the names below it, not itself. */
    | { readonly kind: "name"; readonly name: string; readonly below: boolean };
  /** The ports it is about, both included; from 0 on (what has no ports) when it names none. */
  readonly ports: readonly [first: number, last: number];
}

const PORT_MAX = 65_535;
const NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})?(\.[a-z0-9_]([a-z0-9_-]{0,62})?)*$/;

/** Reads a rule. @returns undefined for what is none. */
export function parseEgressRule(text: string): EgressRule | undefined {
  const parts =
    /^(\[[^\]]*\]|[^:]*|[0-9a-f:]*:[0-9a-f:.]*\/[0-9]+)(?::([0-9]+)(?:-([0-9]+))?)?$/i.exec(text);
  const [, host = "", first, last] = parts ?? [];
  const ports: [number, number] =
    first === undefined ? [0, PORT_MAX] : [Number(first), Number(last ?? first)];
  if ((first !== undefined && ports[0] < 1) || ports[1] > PORT_MAX || ports[0] > ports[1])
    return undefined;
  const target = parseTarget(host.replace(/^\[(.*)\]$/, "$1").toLowerCase());
  return parts === null || target === undefined ? undefined : { text, target, ports };
}

function parseTarget(host: string): EgressRule["target"] | undefined {
  if (host === "*") return { kind: "any" };
  const subnet = Subnet.parse(host.includes("/") ? host : withFullPrefix(host));
  if (subnet !== undefined) return { kind: "subnet", subnet };
  const below = host.startsWith("*.");
  const name = below ? host.slice(2) : host;
  return NAME.test(name) && !/^[0-9.]+$/.test(name) ? { kind: "name", name, below } : undefined;
}

function withFullPrefix(host: string): string {
  return parseIp(host) === undefined ? "" : `${host}/${host.includes(":") ? 128 : 32}`;
}

/** Whether a rule names `name`, whatever the port. */
export function ruleNames({ target }: EgressRule, name: string): boolean {
  if (target.kind === "any") return true;
  if (target.kind !== "name") return false;
  const asked = name.toLowerCase();
  return target.below ? asked.endsWith(`.${target.name}`) : asked === target.name;
}

/** Whether a rule lets through to a port of an address that goes by `names`. */
export function ruleAllows(
  rule: EgressRule,
  ip: Ip,
  port: number,
  names: readonly string[],
): boolean {
  if (port < rule.ports[0] || port > rule.ports[1]) return false;
  if (rule.target.kind === "subnet") return rule.target.subnet.contains(ip);
  return rule.target.kind === "any" || names.some((name) => ruleNames(rule, name));
}

/**
 * Reads a policy as users write it: `allow` (or `open`), `deny` (or `closed`), or rules with commas.
 * @returns the rule that is none.
 */
export function parseEgress(
  text: string,
): { readonly egress: "open" | "closed" | readonly string[] } | { readonly bad: string } {
  const words = text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  if (words.length === 1 && /^(allow|open)$/.test(text.trim())) return { egress: "open" };
  if (words.length === 0 || /^(deny|closed|none)$/.test(text.trim())) return { egress: "closed" };
  const bad = words.find((word) => parseEgressRule(word) === undefined);
  return bad === undefined ? { egress: words } : { bad };
}
