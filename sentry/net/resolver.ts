/** The name server that containers have at 127.0.0.11. */
import { EAGAIN, EINPROGRESS, EINTR, Errno } from "../abi/errno.ts";
import { type Endpoint, type Ip, ipv4, parseIp } from "../abi/ip.ts";
import { IPPROTO_UDP, SOCK_DGRAM } from "../abi/socket.ts";
import { close, readBytes, writeBytes } from "../host/io.ts";
import type { Reactor, Timer, Watch } from "../host/reactor.ts";
import * as host from "../host/socket.ts";
import { formatEndpoint } from "./address.ts";
import {
  type Answer,
  addressAnswers,
  addressesIn,
  addressOfReverseName,
  encodeRefusal,
  encodeResponse,
  isAnswerable,
  parseQuery,
  type Question,
  RCODE,
  TYPE_PTR,
} from "./dns-message.ts";
import type { EgressPolicy } from "./egress.ts";
import { HOST_NAME, hostFamily } from "./inet.ts";
import type { NetworkNamespace } from "./namespace.ts";

const POLLIN = 0x1;
const PORT = 53;
const ADDRESS = ipv4(127, 0, 0, 11);
/** What docker's server says. */
const TTL_SECONDS = 600;
/** Queries under way to servers of the host. */
const FORWARDS_MAX = 256;
const TRIES = 2;
const TRY_NS = 2_500_000_000n;
const RESPONSE_MAX = 65_535;
/** Connections of clients that ask by TCP. */
const STREAMS_MAX = 64;

/** What the server needs to know beside the container's networks. */
export interface ResolverOptions {
  /** Addresses of the servers that know the rest, as they are now. */
  readonly servers: () => readonly string[];
  readonly policy: EgressPolicy;
}

/** Whether an address is the name server's. */
export function isNameServer({ ip, port }: Endpoint): boolean {
  return ip === ADDRESS && port === PORT;
}

type Reply = (response: Uint8Array) => void;

/** Knows the names of the container's networks, and forwards what the policy lets it. */
export class Resolver {
  readonly #reactor: Reactor;
  readonly #net: NetworkNamespace;
  readonly #options: ResolverOptions;
  readonly #forwards = new Set<Forward>();
  readonly #streams = new Set<QueryStream>();

  constructor(reactor: Reactor, net: NetworkNamespace, options: ResolverOptions) {
    this.#reactor = reactor;
    this.#net = net;
    this.#options = options;
  }

  /** Answers a query, now or later, or never when it is none. */
  answer(query: Uint8Array, reply: Reply): void {
    const question = parseQuery(query);
    if (question === undefined) return;
    if (typeof question === "number") {
      reply(encodeRefusal(query, question));
      return;
    }
    const known = isAnswerable(question) ? this.#known(question) : undefined;
    if (known !== undefined) reply(encodeResponse(question, RCODE.ok, known, TTL_SECONDS));
    else this.#forward(query, question, reply);
  }

  /** Answers queries on a stream, which it owns from now on. */
  serve(fd: number): void {
    if (this.#streams.size >= STREAMS_MAX) {
      close(fd);
      return;
    }
    const stream = new QueryStream(this.#reactor, fd, this, () => this.#streams.delete(stream));
    this.#streams.add(stream);
  }

  close(): void {
    for (const forward of this.#forwards) forward.close();
    for (const stream of [...this.#streams]) stream.close();
  }

  /** What the container's networks say; undefined when the name is none of theirs. */
  #known(question: Question): readonly Answer[] | undefined {
    if (question.type === TYPE_PTR) {
      const ip = addressOfReverseName(question.name);
      const name = ip === undefined ? undefined : this.#nameOf(ip);
      return name === undefined ? undefined : [{ type: TYPE_PTR, name }];
    }
    const ips = this.#addressesOf(question.name);
    return ips.length === 0 ? undefined : addressAnswers(shuffled(ips), question.type);
  }

  #addressesOf(name: string): readonly Ip[] {
    if (name === HOST_NAME || name === "gateway.docker.internal") {
      const { gateway } = this.#net;
      return gateway === undefined ? [] : [gateway];
    }
    return this.#net.networks.flatMap(({ attachment }) => {
      if (!attachment.hasNames) return [];
      const suffix = `.${attachment.networkName.toLowerCase()}`;
      const short = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
      const linked = attachment.links.find(([alias]) => alias.toLowerCase() === short)?.[1];
      const members = attachment.peers.named(linked ?? short);
      return members.flatMap(({ ipv4: v4, ipv6: v6 }) =>
        [v4, v6].flatMap((text) => parseIp(text.split("/")[0] ?? "") ?? []),
      );
    });
  }

  #nameOf(ip: Ip): string | undefined {
    for (const network of this.#net.networks) {
      const { attachment } = network;
      if (!attachment.hasNames || !network.contains(ip)) continue;
      const member = network.peerAt(ip);
      if (member !== undefined) return `${member.containerName}.${attachment.networkName}`;
    }
    return undefined;
  }

  #forward(query: Uint8Array, question: Question, reply: Reply): void {
    const { policy } = this.#options;
    const refuse = (rcode: number) => reply(encodeResponse(question, rcode, [], 0));
    if (!this.#net.hasExit || !policy.mayResolve(question.name)) {
      refuse(RCODE.unknown);
      return;
    }
    const servers = this.#options.servers().flatMap((text) => parseIp(text) ?? []);
    if (servers.length === 0 || this.#forwards.size >= FORWARDS_MAX) {
      refuse(RCODE.failed);
      return;
    }
    const forward = new Forward(this.#reactor, query, servers, (response) => {
      this.#forwards.delete(forward);
      if (response === undefined) {
        refuse(RCODE.failed);
        return;
      }
      if (policy.mode === "rules") {
        for (const { ip, ttlSeconds } of addressesIn(response)) {
          policy.pin(question.name, ip, ttlSeconds);
        }
      }
      reply(response);
    });
    this.#forwards.add(forward);
  }
}

/** The same in another order: whoever takes the first takes turns. */
function shuffled<T>(items: readonly T[]): readonly T[] {
  const start = Math.floor(Math.random() * items.length);
  return [...items.slice(start), ...items.slice(0, start)];
}

/** One query under way to the host's servers, one after the other. */
class Forward {
  readonly #reactor: Reactor;
  readonly #query: Uint8Array;
  readonly #servers: readonly Ip[];
  readonly #done: (response: Uint8Array | undefined) => void;
  #tries = 0;
  #fd: number | undefined;
  #watch: Watch | undefined;
  #timer: Timer | undefined;

  constructor(
    reactor: Reactor,
    query: Uint8Array,
    servers: readonly Ip[],
    done: (response: Uint8Array | undefined) => void,
  ) {
    this.#reactor = reactor;
    this.#query = query;
    this.#servers = servers;
    this.#done = done;
    reactor.post(() => this.#next());
  }

  close(): void {
    this.#timer?.cancel();
    this.#watch?.close();
    if (this.#fd !== undefined) close(this.#fd);
    this.#fd = undefined;
    this.#tries = Number.POSITIVE_INFINITY;
  }

  #next(): void {
    if (this.#tries >= this.#servers.length * TRIES) {
      const given = this.#tries !== Number.POSITIVE_INFINITY;
      this.close();
      if (given) this.#done(undefined);
      return;
    }
    const server = this.#servers[this.#tries % this.#servers.length];
    const tries = this.#tries + 1;
    this.close();
    this.#tries = tries;
    if (server === undefined || !this.#ask(server)) {
      this.#reactor.post(() => this.#next());
      return;
    }
    this.#timer = this.#reactor.at(this.#reactor.now() + TRY_NS, () => this.#next());
  }

  #ask(server: Ip): boolean {
    const family = hostFamily(server);
    const fd = host.socket(family, SOCK_DGRAM, IPPROTO_UDP);
    if (fd instanceof Errno) return false;
    this.#fd = fd;
    // Connected, so that only the server's own answers arrive.
    const error = host.connect(fd, formatEndpoint(family, { ip: server, port: PORT }));
    if (error !== undefined && error !== EINPROGRESS) return false;
    if (writeBytes(fd, this.#query) instanceof Errno) return false;
    this.#watch = this.#reactor.watch(fd, POLLIN, () => this.#receive(fd));
    return true;
  }

  #receive(fd: number): void {
    const room = Buffer.alloc(RESPONSE_MAX);
    const count = readBytes(fd, room);
    if (count === EAGAIN || count === EINTR) return;
    if (count instanceof Errno) {
      this.#next();
      return;
    }
    const response = room.subarray(0, count);
    // An answer to something else is thrown away.
    const same =
      count >= 12 && response.readUInt16BE(0) === Buffer.from(this.#query).readUInt16BE(0);
    if (!same || (response.readUInt16BE(2) & 0x8000) === 0) return;
    this.close();
    this.#done(response);
  }
}

/** A client that asks by TCP: each message with its length in front. */
class QueryStream {
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #resolver: Resolver;
  readonly #closed: () => void;
  #pending = Buffer.alloc(0);
  #open = true;

  constructor(reactor: Reactor, fd: number, resolver: Resolver, closed: () => void) {
    this.#fd = fd;
    this.#resolver = resolver;
    this.#closed = closed;
    this.#watch = reactor.watch(fd, POLLIN, () => this.#read());
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watch.close();
    close(this.#fd);
    this.#closed();
  }

  #read(): void {
    const room = Buffer.alloc(4096);
    const count = readBytes(this.#fd, room);
    if (count === EAGAIN || count === EINTR) return;
    if (count instanceof Errno || count === 0) {
      this.close();
      return;
    }
    this.#pending = Buffer.concat([this.#pending, room.subarray(0, count)]);
    while (this.#open && this.#pending.length >= 2) {
      const end = 2 + this.#pending.readUInt16BE(0);
      if (this.#pending.length < end) return;
      const query = Uint8Array.from(this.#pending.subarray(2, end));
      this.#pending = this.#pending.subarray(end);
      this.#resolver.answer(query, (response) => this.#write(response));
    }
  }

  #write(response: Uint8Array): void {
    if (!this.#open) return;
    const length = Buffer.alloc(2);
    length.writeUInt16BE(response.length);
    // A client that does not read its answers has nothing more to ask.
    const sent = writeBytes(this.#fd, Buffer.concat([length, response]));
    if (sent !== response.length + 2) this.close();
  }
}
