/**
 * One network for several containers (`--network container:X`). The sentry of X is the hub: it has the
 * addresses, and what arrives there. The sentries of the others are members: each keeps the sockets of its
 * own container, tells the hub which addresses they are bound to, and reaches what is not its own through
 * the hub. What one of them has bound is thus taken for all of them.
 */
import { EAGAIN, ECONNREFUSED, ECONNRESET, Errno, errnoOf } from "../abi/errno.ts";
import { ANY4, ANY6, type Endpoint, type Ip, isLoopback, isV4 } from "../abi/ip.ts";
import { close } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import { acceptUnix, peerUid } from "../host/unix-stream.ts";
import type { TransportProtocol } from "../spec.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";
import { LINK, Link, type LinkMessage } from "./link.ts";
import type { Carrier, Severable } from "./peer-network.ts";
import type { Binding } from "./ports.ts";

const POLLIN = 0x1;
const MEMBERS_MAX = 64;
/** Bindings one other sentry may tell of. */
const BINDINGS_MAX = 65_536;
const PROTOCOLS: readonly TransportProtocol[] = ["tcp", "udp"];
const NOWHERE: Endpoint = { ip: ANY4, port: 0 };

/** What a namespace is asked by who shares it. */
export interface SharedWith {
  readonly addresses: readonly Ip[];
  /** The one towards an address of one of its networks. */
  addressTowards(ip: Ip): Ip | undefined;
  /** A stream for a listener of this sentry, or of whoever it leads on to. @param fd taken over. */
  takeStream(
    fd: number,
    from: Endpoint,
    to: Endpoint,
    done: (error: Errno | undefined) => void,
  ): void;
  /** @returns whether somebody is there. */
  takeDatagram(from: Endpoint, to: Endpoint, payload: IoBuffer): boolean;
  unreachable(from: Endpoint, to: Endpoint): void;
  /** What this sentry's own sockets are bound to. */
  bindings(): readonly {
    readonly protocol: TransportProtocol;
    readonly binding: Binding<unknown>;
  }[];
  /** What a member has to know: the addresses, the way out, the files of /etc. */
  state(): Uint8Array;
}

interface Foreign {
  readonly link: Link;
  readonly protocol: TransportProtocol;
  readonly at: Endpoint;
  /** Its number among those of its sentry. */
  readonly cookie: number;
}

/** The other sentries of a shared network, and what is bound there. */
export class SharedNamespace {
  readonly #reactor: Reactor;
  readonly #own: SharedWith;
  readonly #links = new Map<Link, ForeignCarrier>();
  readonly #foreign = new Map<string, Foreign>();
  /** Numbers that this sentry gave its own bindings. */
  readonly #numbers = new Map<Binding<unknown>, number>();
  readonly #numberOf = new Map<Link, number>();
  readonly #listener: { readonly fd: number; readonly watch: Watch } | undefined;
  readonly #onState: (state: Uint8Array) => void;
  #lastNumber = 0;

  /**
   * @param end a listening socket: this sentry is the hub; or one connected to the hub.
   * @param onState gets what the hub says.
   */
  constructor(
    reactor: Reactor,
    own: SharedWith,
    end: { readonly listen: number } | { readonly hub: number },
    onState: (state: Uint8Array) => void = () => {},
  ) {
    this.#reactor = reactor;
    this.#own = own;
    this.#onState = onState;
    if ("hub" in end) {
      this.#join(end.hub);
      return;
    }
    const watch = reactor.watch(end.listen, POLLIN, () => this.#accept(end.listen));
    this.#listener = { fd: end.listen, watch };
  }

  /** Whether anybody shares the network now. */
  get isShared(): boolean {
    return this.#links.size > 0;
  }

  /** The way to the hub; of a member. */
  get hub(): Carrier | undefined {
    return [...this.#links.values()][0];
  }

  /** The way to who has bound an address, if another sentry has. */
  find(protocol: TransportProtocol, to: Endpoint): Carrier | undefined {
    for (const { link, protocol: its, at } of this.#foreign.values()) {
      if (its === protocol && at.port === to.port && covers(at.ip, to.ip)) {
        return this.#links.get(link);
      }
    }
    return undefined;
  }

  /** Whether another sentry has bound what overlaps with an address. */
  isTaken(protocol: TransportProtocol, { ip, port }: Endpoint): boolean {
    return [...this.#foreign.values()].some(
      ({ protocol: its, at }) =>
        its === protocol && at.port === port && (covers(at.ip, ip) || covers(ip, at.ip)),
    );
  }

  bound(protocol: TransportProtocol, binding: Binding<unknown>): void {
    this.#numbers.set(binding, ++this.#lastNumber);
    for (const link of this.#links.keys()) this.#tell(link, protocol, binding);
  }

  released(binding: Binding<unknown>): void {
    const cookie = this.#numbers.get(binding);
    this.#numbers.delete(binding);
    if (cookie === undefined) return;
    for (const link of this.#links.keys()) {
      link.post({ kind: LINK.release, status: 0, cookie, from: NOWHERE, to: NOWHERE });
    }
  }

  /** What members have to know has changed. */
  changed(): void {
    for (const link of this.#links.keys()) this.#sendState(link);
  }

  /** Takes what the hub has said, for a member that cannot wait for its loop yet. */
  receiveNow(): void {
    for (const link of this.#links.keys()) link.receiveNow();
  }

  close(): void {
    this.#listener?.watch.close();
    if (this.#listener !== undefined) close(this.#listener.fd);
    for (const link of [...this.#links.keys()]) {
      link.close();
      this.#closed(link);
    }
  }

  #accept(listener: number): void {
    for (;;) {
      const fd = acceptUnix(listener);
      if (fd instanceof Errno) return;
      if (peerUid(fd) !== process.getuid?.() || this.#links.size >= MEMBERS_MAX) {
        close(fd);
        continue;
      }
      const link = this.#join(fd);
      this.#sendState(link);
      // A newcomer learns what others have bound from the hub, as if it were the hub's own.
      for (const { link: other, protocol, at, cookie } of this.#foreign.values()) {
        if (other !== link) this.#announce(link, protocol, at, this.#relayed(other, cookie));
      }
    }
  }

  #join(fd: number): Link {
    const link = new Link(this.#reactor, fd, {
      message: (from, message) => this.#arrived(from, message),
      closed: (from) => this.#closed(from),
    });
    this.#links.set(link, new ForeignCarrier(link, this.#own));
    for (const { protocol, binding } of this.#own.bindings()) {
      if (!this.#numbers.has(binding)) this.#numbers.set(binding, ++this.#lastNumber);
      this.#tell(link, protocol, binding);
    }
    return link;
  }

  #sendState(link: Link): void {
    const message = { kind: LINK.state, status: 0, cookie: 0, from: NOWHERE, to: NOWHERE };
    link.post(message, undefined, this.#own.state());
  }

  #tell(link: Link, protocol: TransportProtocol, binding: Binding<unknown>): void {
    this.#announce(link, protocol, binding, this.#numbers.get(binding) ?? 0);
  }

  #announce(link: Link, protocol: TransportProtocol, { ip, port }: Endpoint, cookie: number): void {
    const status = PROTOCOLS.indexOf(protocol);
    link.post({ kind: LINK.bind, status, cookie, from: NOWHERE, to: { ip, port } });
  }

  #closed(link: Link): void {
    this.#links.get(link)?.end();
    this.#links.delete(link);
    for (const [key, { link: its, cookie }] of this.#foreign) {
      if (its !== link) continue;
      this.#foreign.delete(key);
      if (this.#listener === undefined) continue;
      const gone = { kind: LINK.release, status: 0, from: NOWHERE, to: NOWHERE };
      for (const other of this.#links.keys()) {
        other.post({ ...gone, cookie: this.#relayed(link, cookie) });
      }
    }
  }

  #idOf(link: Link): number {
    const known = this.#numberOf.get(link) ?? this.#numberOf.size;
    this.#numberOf.set(link, known);
    return known;
  }

  #arrived(link: Link, message: LinkMessage): void {
    const { kind, status, cookie, from, to, payload, token } = message;
    const key = `${this.#idOf(link)} ${cookie}`;
    if (token !== undefined && kind !== LINK.connect) close(token);
    switch (kind) {
      case LINK.connect:
        if (token === undefined) return;
        this.#own.takeStream(token, from, to, (error) => {
          const answer = { kind: LINK.answer, status: error?.number ?? 0, cookie, from, to };
          link.post(answer);
        });
        return;
      case LINK.answer:
        this.#links.get(link)?.answered(cookie, status);
        return;
      case LINK.datagram:
        if (this.#own.takeDatagram(from, to, payload)) return;
        link.post({ kind: LINK.unreachable, status: ECONNREFUSED.number, cookie, from, to });
        return;
      case LINK.unreachable:
        this.#own.unreachable(from, to);
        return;
      case LINK.bind: {
        const protocol = PROTOCOLS[status];
        if (protocol === undefined || this.#foreign.size >= BINDINGS_MAX) return;
        this.#foreign.set(key, { link, protocol, at: to, cookie });
        this.#relay(link, message);
        return;
      }
      case LINK.release:
        this.#foreign.delete(key);
        this.#relay(link, message);
        return;
      case LINK.state:
        this.#onState(payload.take());
        return;
    }
  }

  /** The hub tells the other members what one has said, in its own name. */
  #relay(from: Link, message: LinkMessage): void {
    if (this.#listener === undefined) return;
    const cookie = this.#relayed(from, message.cookie);
    for (const link of this.#links.keys()) {
      if (link === from) continue;
      link.post({
        kind: message.kind,
        status: message.status,
        cookie,
        from: NOWHERE,
        to: message.to,
      });
    }
  }

  /** The number by which the hub speaks of a member's binding: unlike any of its own. */
  #relayed(link: Link, cookie: number): number {
    return (0x8000_0000 | ((this.#idOf(link) & 0x7ff) << 20) | (cookie & 0xf_ffff)) >>> 0;
  }
}

/** Whether a binding to `bound` hears of what is sent to `ip`. */
function covers(bound: Ip, ip: Ip): boolean {
  return bound === ip || bound === ANY6 || (bound === ANY4 && isV4(ip));
}

/** The way to another sentry of the same network. */
class ForeignCarrier implements Carrier {
  readonly streams = new Set<Severable>();
  readonly #link: Link;
  readonly #own: SharedWith;
  readonly #asked = new Map<number, { fd: number; done: (error: Errno | undefined) => void }>();
  #lastCookie = 0;

  constructor(link: Link, own: SharedWith) {
    this.#link = link;
    this.#own = own;
  }

  addressFor(ip: Ip): Ip | undefined {
    // Between sockets of one network, both sides have the address that was asked for.
    if (isLoopback(ip) || this.#own.addresses.includes(ip)) return ip;
    return this.#own.addressTowards(ip);
  }

  connect(
    from: Endpoint,
    to: Endpoint,
    fd: number,
    done: (error: Errno | undefined) => void,
  ): () => void {
    const cookie = ++this.#lastCookie;
    this.#asked.set(cookie, { fd, done });
    this.#link.post({ kind: LINK.connect, status: 0, cookie, from, to }, fd);
    return () => {
      this.#asked.delete(cookie);
      close(fd);
    };
  }

  send(from: Endpoint, to: Endpoint, payload: IoBuffer): Errno | undefined {
    this.#link.sendDatagram(from, to, payload);
    return undefined;
  }

  answered(cookie: number, status: number): void {
    const asked = this.#asked.get(cookie);
    if (asked === undefined) return;
    this.#asked.delete(cookie);
    close(asked.fd);
    // A queue that is full is as good as a refusal between containers that share everything.
    const refused = status === EAGAIN.number ? ECONNREFUSED : errnoOf(status);
    asked.done(status === 0 ? undefined : refused);
  }

  /** The other sentry is gone. */
  end(): void {
    for (const { fd, done } of this.#asked.values()) {
      close(fd);
      done(ECONNRESET);
    }
    this.#asked.clear();
    for (const stream of [...this.streams]) stream.sever();
  }
}
