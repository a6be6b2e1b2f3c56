import { EADDRINUSE, type Errno } from "../abi/errno.ts";
import { ANY4, ANY6, type Endpoint, type Ip, isV4 } from "../abi/ip.ts";

/** `net.ipv4.ip_local_port_range`. */
const EPHEMERAL_FIRST = 32_768;
const EPHEMERAL_LAST = 60_999;

/** One bound address, and what decides whether another may share its port. */
export interface Binding<S> extends Endpoint {
  readonly socket: S;
  /** Takes IPv6 only, though bound to `::`. */
  readonly v6Only: boolean;
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
  /** Whether it hears of everything that comes for the address: listeners, and datagram sockets. */
  readonly receives: () => boolean;
}

/** What other sentries of a shared network have bound, and are told. */
export interface PortSharing {
  isTaken(endpoint: Endpoint): boolean;
  bound(binding: Binding<unknown>): void;
  released(binding: Binding<unknown>): void;
}

/** The bound addresses of one protocol in one container. */
export class Ports<S> {
  readonly #byPort = new Map<number, Binding<S>[]>();
  /** Whether SO_REUSEADDR alone lets receivers share a port: it does for datagrams. */
  readonly #shareByAddress: boolean;
  #turn = 0;
  /** Other sentries of the same network, if there are any. */
  others: PortSharing | undefined;

  constructor(shareByAddress: boolean) {
    this.#shareByAddress = shareByAddress;
  }

  /**
   * Takes an address. @param wanted port 0 for any free one.
   * @returns the binding with its port, or `EADDRINUSE`.
   */
  bind(wanted: Binding<S>): Binding<S> | Errno {
    if (wanted.port !== 0) return this.#take(wanted);
    const count = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;
    const start = Math.floor(Math.random() * count);
    for (let i = 0; i < count; i++) {
      const port = EPHEMERAL_FIRST + ((start + i) % count);
      const free = !this.#byPort.has(port) && this.others?.isTaken({ ...wanted, port }) !== true;
      if (free) return this.#take({ ...wanted, port });
    }
    return EADDRINUSE;
  }

  release(binding: Binding<S>): void {
    this.others?.released(binding);
    const others = this.#byPort.get(binding.port)?.filter((other) => other !== binding);
    if (others === undefined || others.length === 0) this.#byPort.delete(binding.port);
    else this.#byPort.set(binding.port, others);
  }

  /** Whether `binding` may begin to receive although others have the port. See listen(2). */
  mayReceive(binding: Binding<S>): boolean {
    return (this.#byPort.get(binding.port) ?? []).every(
      (other) =>
        other === binding ||
        !other.receives() ||
        !overlaps(other, binding) ||
        (other.reusePort && binding.reusePort),
    );
  }

  /** Everything that is bound. */
  all(): readonly Binding<S>[] {
    return [...this.#byPort.values()].flat();
  }

  /** Who receives what is sent to an address: the most exact binding; sharers take turns. */
  find({ ip, port }: Endpoint): S | undefined {
    const candidates = (this.#byPort.get(port) ?? []).filter(
      (binding) => binding.receives() && covers(binding, ip),
    );
    const exact = candidates.filter((binding) => binding.ip === ip);
    const best = exact.length > 0 ? exact : candidates;
    const shared = best.filter((binding) => binding.reusePort);
    if (shared.length > 1) return shared[this.#turn++ % shared.length]?.socket;
    // The latest wins, as with datagram sockets on Linux.
    return best.at(-1)?.socket;
  }

  #take(wanted: Binding<S>): Binding<S> | Errno {
    const present = this.#byPort.get(wanted.port) ?? [];
    if (this.others?.isTaken(wanted) === true) return EADDRINUSE;
    for (const other of present) {
      if (overlaps(other, wanted) && !this.#mayShare(other, wanted)) return EADDRINUSE;
    }
    this.#byPort.set(wanted.port, [...present, wanted]);
    this.others?.bound(wanted);
    return wanted;
  }

  #mayShare(a: Binding<S>, b: Binding<S>): boolean {
    if (a.reusePort && b.reusePort) return true;
    if (!a.reuseAddress || !b.reuseAddress) return false;
    return this.#shareByAddress || !(a.receives() || b.receives());
  }
}

/** Whether a binding hears of what is sent to `ip`. */
function covers<S>(binding: Binding<S>, ip: Ip): boolean {
  if (binding.ip === ip) return true;
  if (binding.ip === ANY4) return isV4(ip);
  return binding.ip === ANY6 && !(binding.v6Only && isV4(ip));
}

function overlaps<S>(a: Binding<S>, b: Binding<S>): boolean {
  return covers(a, b.ip) || covers(b, a.ip);
}
