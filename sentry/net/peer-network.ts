/** A container's place in one network: streams and datagrams to and from the other containers there. */
import {
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EHOSTUNREACH,
  ENETUNREACH,
  Errno,
  ETIMEDOUT,
  errnoOf,
} from "../abi/errno.ts";
import { type Endpoint, formatIp, type Ip, isV4, parseIp, Subnet } from "../abi/ip.ts";
import { close } from "../host/io.ts";
import type { Reactor, Timer, Watch } from "../host/reactor.ts";
import { acceptUnix, connectMessages, peerOf } from "../host/unix-stream.ts";
import type { NetworkAttachment, NetworkMember } from "../spec.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";
import { LINK, Link, type LinkMessage } from "./link.ts";

const POLLIN = 0x1;
/** Links of peers held open at once. */
const LINKS_MAX = 4096;
/** A listener whose queue is full is asked again after this long, and then half as often each time. */
const RETRY_FIRST_NS = 10_000_000n;
const RETRY_LAST_NS = 1_000_000_000n;
/** How long that goes on, as tcp_syn_retries has it. */
const CONNECT_NS = 127_000_000_000n;

/** The container's own side: where what arrives goes. */
export interface PeerReceiver {
  /**
   * A stream for a listening socket. @param fd taken over on success.
   * @returns `ECONNREFUSED` when nobody listens, `EAGAIN` when the queue is full.
   */
  acceptStream(fd: number, from: Endpoint, to: Endpoint, network: PeerNetwork): Errno | undefined;
  /** @returns whether a socket is bound there. */
  acceptDatagram(from: Endpoint, to: Endpoint, payload: IoBuffer): boolean;
  /** Nobody was there for a datagram sent from `from` to `to`. */
  unreachable(from: Endpoint, to: Endpoint): void;
}

/** What ends when its network does. */
export interface Severable {
  sever(): void;
}

/** What leads to sockets of other sentries. */
export interface Carrier {
  /** Connections it carries. */
  readonly streams: Set<Severable>;
  /** The container's own address towards `ip`. */
  addressFor(ip: Ip): Ip | undefined;
  /** See {@link PeerNetwork.connect}. */
  connect(
    from: Endpoint,
    to: Endpoint,
    fd: number,
    done: (error: Errno | undefined) => void,
  ): () => void;
  /** Sends a datagram. @returns `EHOSTUNREACH` when nobody has the address. */
  send(from: Endpoint, to: Endpoint, payload: IoBuffer): Errno | undefined;
}

interface Connecting {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly fd: number;
  readonly done: (error: Errno | undefined) => void;
  readonly deadlineNs: bigint;
  delayNs: bigint;
  timer: Timer | undefined;
}

/** One attachment at work. */
export class PeerNetwork implements Carrier {
  readonly attachment: NetworkAttachment;
  readonly subnets: readonly Subnet[];
  readonly gateways: readonly Ip[];
  readonly addresses: readonly { readonly ip: Ip; readonly prefix: number }[];
  /** Connections it carries. */
  readonly streams = new Set<Severable>();
  readonly #reactor: Reactor;
  readonly #receiver: PeerReceiver;
  readonly #watch: Watch;
  /** Links made from here, by the address they lead to. */
  readonly #outgoing = new Map<Ip, Link>();
  /** Links others made, with the process there and the addresses found to be its own. */
  readonly #incoming = new Map<Link, { readonly pid: number; readonly verified: Set<Ip> }>();
  readonly #connecting = new Map<number, Connecting>();
  #lastCookie = 0;

  constructor(reactor: Reactor, attachment: NetworkAttachment, receiver: PeerReceiver) {
    this.#reactor = reactor;
    this.attachment = attachment;
    this.#receiver = receiver;
    const { member } = attachment;
    this.subnets = attachment.subnets.flatMap((text) => Subnet.parse(text) ?? []);
    this.gateways = attachment.gateways.flatMap((text) => parseIp(text) ?? []);
    this.addresses = [member.ipv4, member.ipv6].flatMap((text) => {
      const [address = "", prefix = ""] = text.split("/");
      const ip = parseIp(address);
      return ip === undefined ? [] : [{ ip, prefix: Number(prefix) }];
    });
    this.#watch = reactor.watch(attachment.listener, POLLIN, () => this.#accept());
  }

  contains(ip: Ip): boolean {
    return this.subnets.some((subnet) => subnet.contains(ip));
  }

  /** Who has an address there. */
  peerAt(ip: Ip): NetworkMember | undefined {
    return this.attachment.peers.at(formatIp(ip));
  }

  /** The container's own address of the family of `ip`. */
  addressFor(ip: Ip): Ip | undefined {
    return this.addresses.find((own) => isV4(own.ip) === isV4(ip))?.ip;
  }

  /**
   * Offers the far end of a stream to whoever listens at `to`.
   * @param fd closed when that is decided.
   * @param done called once, later; not after the returned function was called.
   */
  connect(
    from: Endpoint,
    to: Endpoint,
    fd: number,
    done: (error: Errno | undefined) => void,
  ): () => void {
    const cookie = this.#nextCookie();
    const deadlineNs = this.#reactor.now() + CONNECT_NS;
    const delayNs = RETRY_FIRST_NS;
    this.#connecting.set(cookie, { from, to, fd, done, deadlineNs, delayNs, timer: undefined });
    this.#ask(cookie);
    return () => this.#forget(cookie);
  }

  /** Sends a datagram. @returns `EHOSTUNREACH` when nobody has the address. */
  send(from: Endpoint, to: Endpoint, payload: IoBuffer): Errno | undefined {
    const link = this.#linkTo(to.ip);
    if (link instanceof Errno) return link === EAGAIN ? undefined : link;
    link.sendDatagram(from, to, payload);
    return undefined;
  }

  /** Leaves: connections being made fail, those there are end. */
  close(): void {
    for (const stream of [...this.streams]) stream.sever();
    this.streams.clear();
    for (const cookie of [...this.#connecting.keys()]) this.#finish(cookie, ENETUNREACH);
    this.#watch.close();
    close(this.attachment.listener);
    for (const link of [...this.#incoming.keys(), ...this.#outgoing.values()]) link.close();
    this.#incoming.clear();
    this.#outgoing.clear();
  }

  #nextCookie(): number {
    do {
      this.#lastCookie = (this.#lastCookie + 1) % 2 ** 32;
    } while (this.#connecting.has(this.#lastCookie));
    return this.#lastCookie;
  }

  #ask(cookie: number): void {
    const asked = this.#connecting.get(cookie);
    if (asked === undefined) return;
    const { from, to, fd } = asked;
    const link = this.#linkTo(to.ip);
    if (link === EAGAIN) this.#askLater(cookie, asked);
    else if (link instanceof Errno) this.#reactor.post(() => this.#finish(cookie, link));
    else link.post({ kind: LINK.connect, status: 0, cookie, from, to }, fd);
  }

  #askLater(cookie: number, asked: Connecting): void {
    const now = this.#reactor.now();
    if (now >= asked.deadlineNs) {
      this.#finish(cookie, ETIMEDOUT);
      return;
    }
    asked.timer = this.#reactor.at(now + asked.delayNs, () => this.#ask(cookie));
    const doubled = asked.delayNs * 2n;
    asked.delayNs = doubled > RETRY_LAST_NS ? RETRY_LAST_NS : doubled;
  }

  #forget(cookie: number): Connecting | undefined {
    const asked = this.#connecting.get(cookie);
    if (asked === undefined) return undefined;
    this.#connecting.delete(cookie);
    asked.timer?.cancel();
    close(asked.fd);
    return asked;
  }

  #finish(cookie: number, error: Errno | undefined): void {
    this.#forget(cookie)?.done(error);
  }

  #linkTo(ip: Ip): Link | Errno {
    const present = this.#outgoing.get(ip);
    if (present !== undefined) return present;
    if (this.#outgoing.size >= LINKS_MAX) return EAGAIN;
    const fd = connectMessages(this.attachment.peers.socketPath(formatIp(ip)));
    // A socket nobody listens on was left by a sentry that was killed.
    if (fd instanceof Errno) return fd === EAGAIN ? EAGAIN : EHOSTUNREACH;
    const link = new Link(this.#reactor, fd, {
      message: (_link, message) => this.#answered(message),
      closed: () => this.#lost(ip),
    });
    this.#outgoing.set(ip, link);
    return link;
  }

  /** The sentry at `ip` has ended. */
  #lost(ip: Ip): void {
    this.#outgoing.delete(ip);
    for (const [cookie, asked] of [...this.#connecting]) {
      if (asked.to.ip === ip) this.#finish(cookie, ECONNRESET);
    }
  }

  #answered({ kind, cookie, status, from, to, token }: LinkMessage): void {
    if (token !== undefined) close(token);
    if (kind === LINK.unreachable) this.#receiver.unreachable(from, to);
    const asked = kind === LINK.answer ? this.#connecting.get(cookie) : undefined;
    if (asked === undefined) return;
    if (status === EAGAIN.number) this.#askLater(cookie, asked);
    else this.#finish(cookie, status === 0 ? undefined : errnoOf(status));
  }

  #accept(): void {
    for (;;) {
      const fd = acceptUnix(this.attachment.listener);
      if (fd instanceof Errno) return;
      const peer = peerOf(fd);
      // The directory keeps other users out already; a uid that differs means that it was opened up.
      const refused = peer instanceof Errno || peer.uid !== process.getuid?.();
      if (refused || this.#incoming.size >= LINKS_MAX) {
        close(fd);
        continue;
      }
      const link = new Link(this.#reactor, fd, {
        message: (from, message) => this.#arrived(from, message),
        closed: (from) => this.#incoming.delete(from),
      });
      this.#incoming.set(link, { pid: peer.pid, verified: new Set() });
    }
  }

  #arrived(link: Link, message: LinkMessage): void {
    const { kind, from, to, cookie, token, payload } = message;
    if (!this.#speaksFor(link, from.ip) || !this.addresses.some(({ ip }) => ip === to.ip)) {
      // It says that it is somebody else, or means somebody else.
      if (token !== undefined) close(token);
      this.#incoming.delete(link);
      link.close();
      return;
    }
    if (kind === LINK.connect && token !== undefined) {
      const error = this.#receiver.acceptStream(token, from, to, this);
      if (error !== undefined) close(token);
      link.post({ kind: LINK.answer, status: error?.number ?? 0, cookie, from, to });
      return;
    }
    if (token !== undefined) close(token);
    if (kind !== LINK.datagram) return;
    if (this.#receiver.acceptDatagram(from, to, payload)) return;
    link.post({ kind: LINK.unreachable, status: ECONNREFUSED.number, cookie, from, to });
  }

  /** Whether the process behind a link is the sentry of the container that has the address. */
  #speaksFor(link: Link, ip: Ip): boolean {
    const peer = this.#incoming.get(link);
    if (peer === undefined) return false;
    if (peer.verified.has(ip)) return true;
    if (this.peerAt(ip)?.pid !== peer.pid) return false;
    peer.verified.add(ip);
    return true;
  }
}
