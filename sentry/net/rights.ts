import { Errno, ETOOMANYREFS } from "../abi/errno.ts";
import { close, identify, pipe } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import type { Ancillary } from "./socket.ts";

const POLLIN = 1;
const MSG_PEEK = 2;
/** Messages with ancillary data on their way in one container. */
const IN_FLIGHT_MAX = 16384;

interface Parcel {
  readonly ancillary: Ancillary;
  /** The read end of the token's pipe: hangs up when nobody can receive the token any more. */
  readonly keep: number;
  readonly watch: Watch;
}

/**
 * Open files and credentials on their way through host sockets. What travels there is a token, the write
 * end of a pipe; the files themselves never leave the sentry. The host keeps the token with exactly the
 * bytes it was sent with, and closes it when the message is thrown away: then the pipe hangs up and the
 * parcel is dropped.
 */
export class RightsInFlight {
  readonly #reactor: Reactor;
  readonly #parcels = new Map<number, Parcel>();

  constructor(reactor: Reactor) {
    this.#reactor = reactor;
  }

  /**
   * Packs `ancillary`, whose files it takes over if `send` succeeds.
   * @param send sends the token along; it is closed afterwards.
   * @returns what `send` does, or `ETOOMANYREFS`.
   */
  pack(ancillary: Ancillary, send: (token: number) => number | Errno): number | Errno {
    if (this.#parcels.size >= IN_FLIGHT_MAX) return ETOOMANYREFS;
    const ends = pipe(0);
    if (ends instanceof Errno) return ends;
    const [keep, token] = ends;
    const identity = identify(keep);
    const sent = identity instanceof Errno ? identity : send(token);
    close(token);
    if (sent instanceof Errno || identity instanceof Errno) {
      close(keep);
      return sent;
    }
    const watch = this.#reactor.watch(keep, POLLIN, () => this.#drop(identity.ino));
    this.#parcels.set(identity.ino, { ancillary, keep, watch });
    return sent;
  }

  /** What came with `token`, which is closed. With MSG_PEEK it stays for the real receiver. */
  unpack(token: number, flags: number): Ancillary | undefined {
    const identity = identify(token);
    close(token);
    const parcel = identity instanceof Errno ? undefined : this.#parcels.get(identity.ino);
    if (parcel === undefined || identity instanceof Errno) return undefined;
    const { ancillary } = parcel;
    if (flags & MSG_PEEK) {
      return { ...ancillary, files: ancillary.files.map((file) => file.retain()) };
    }
    this.#forget(identity.ino, parcel);
    return ancillary;
  }

  #drop(ino: number): void {
    const parcel = this.#parcels.get(ino);
    if (parcel === undefined) return;
    this.#forget(ino, parcel);
    for (const file of parcel.ancillary.files) file.close();
  }

  #forget(ino: number, parcel: Parcel): void {
    this.#parcels.delete(ino);
    parcel.watch.close();
    close(parcel.keep);
  }
}
