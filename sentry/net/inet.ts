/** What TCP and UDP sockets have in common: how they are bound, and how addresses of the host look to them. */
import { Errno } from "../abi/errno.ts";
import { ANY4, ANY6, type Endpoint, type Ip, isV4 } from "../abi/ip.ts";
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOL_SOCKET,
} from "../abi/socket.ts";
import { familyOf, formatEndpoint, parseEndpoint } from "./address.ts";
import type { SocketOptions } from "./options.ts";
import type { Binding, Ports } from "./ports.ts";

/** The host, by the name docker's desktop products give it. */
export const HOST_NAME = "host.docker.internal";

/** The family of a host socket that reaches `ip`. */
export function hostFamily(ip: Ip): number {
  return isV4(ip) ? AF_INET : AF_INET6;
}

/** "Any address" of a family. */
export function anyAddress(family: number): Ip {
  return family === AF_INET ? ANY4 : ANY6;
}

/** An address of the host as a socket of `family` writes it. */
export function seenBy(family: number, address: Uint8Array | Errno): Uint8Array | Errno {
  if (address instanceof Errno) return address;
  const given = familyOf(address);
  if (given instanceof Errno || given === family) return address;
  const endpoint = parseEndpoint(given, address);
  return endpoint instanceof Errno ? endpoint : formatEndpoint(family, endpoint);
}

/** The address of the container that a socket holds, if it holds one. */
export class BoundPort<S> {
  readonly #ports: Ports<S>;
  #binding: Binding<S> | undefined;

  constructor(ports: Ports<S>) {
    this.#ports = ports;
  }

  get held(): Binding<S> | undefined {
    return this.#binding;
  }

  /** Takes an address for `socket`. @returns `EADDRINUSE`. */
  take(
    endpoint: Endpoint,
    socket: S,
    options: SocketOptions,
    receives: () => boolean,
  ): Errno | undefined {
    const binding = this.#ports.bind({
      ...endpoint,
      socket,
      v6Only: options.int(IPPROTO_IPV6, IPV6_V6ONLY) === 1,
      reuseAddress: options.int(SOL_SOCKET, SO_REUSEADDR) === 1,
      reusePort: options.int(SOL_SOCKET, SO_REUSEPORT) === 1,
      receives,
    });
    if (binding instanceof Errno) return binding;
    this.#binding = binding;
    return undefined;
  }

  /** Whether listening may begin although others have the port. */
  mayReceive(): boolean {
    return this.#binding === undefined || this.#ports.mayReceive(this.#binding);
  }

  release(): void {
    if (this.#binding !== undefined) this.#ports.release(this.#binding);
    this.#binding = undefined;
  }
}
