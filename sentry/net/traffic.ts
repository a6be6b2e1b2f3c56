/** How much a container sends and receives through its networks; its own loopback is not counted. */
import { Errno } from "../abi/errno.ts";
import { IPPROTO_TCP } from "../abi/socket.ts";
import * as host from "../host/socket.ts";

export interface TrafficCounts {
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly txBytes: number;
  readonly txPackets: number;
}

const TCP_INFO = 11;
/** Of `struct tcp_info`, `<linux/tcp.h>`: up to and with tcpi_segs_in. */
const INFO_SIZE = 144;
const BYTES_ACKED = 120;
const BYTES_RECEIVED = 128;
const SEGMENTS_OUT = 136;
const SEGMENTS_IN = 140;

const NONE: TrafficCounts = { rxBytes: 0, rxPackets: 0, txBytes: 0, txPackets: 0 };

/**
 * The sum over a container's sockets. Of connections to the outside the host keeps count, also of what a
 * trusted guest transfers by itself; of what goes to other containers only that is seen which passes the
 * sentry.
 */
export class Traffic {
  #rxBytes = 0;
  #rxPackets = 0;
  #txBytes = 0;
  #txPackets = 0;
  /** Host descriptors of connections that are open. */
  readonly #connections = new Set<number>();

  sent(bytes: number): void {
    this.#txBytes += bytes;
    this.#txPackets++;
  }

  received(bytes: number): void {
    this.#rxBytes += bytes;
    this.#rxPackets++;
  }

  /** A TCP connection of the host carries bytes of the container, until {@link closing}. */
  opened(fd: number): void {
    this.#connections.add(fd);
  }

  /** Called before the descriptor is closed; harmless for one that was never opened here. */
  closing(fd: number): void {
    if (!this.#connections.delete(fd)) return;
    const { rxBytes, rxPackets, txBytes, txPackets } = countsOf(fd);
    this.#rxBytes += rxBytes;
    this.#rxPackets += rxPackets;
    this.#txBytes += txBytes;
    this.#txPackets += txPackets;
  }

  counts(): TrafficCounts {
    let rxBytes = this.#rxBytes;
    let rxPackets = this.#rxPackets;
    let txBytes = this.#txBytes;
    let txPackets = this.#txPackets;
    for (const fd of this.#connections) {
      const counts = countsOf(fd);
      rxBytes += counts.rxBytes;
      rxPackets += counts.rxPackets;
      txBytes += counts.txBytes;
      txPackets += counts.txPackets;
    }
    return { rxBytes, rxPackets, txBytes, txPackets };
  }
}

function countsOf(fd: number): TrafficCounts {
  const info = host.getOption(fd, IPPROTO_TCP, TCP_INFO, INFO_SIZE);
  if (info instanceof Errno || info.length < INFO_SIZE) return NONE;
  const view = new DataView(info.buffer, info.byteOffset, info.length);
  return {
    rxBytes: Number(view.getBigUint64(BYTES_RECEIVED, true)),
    rxPackets: view.getUint32(SEGMENTS_IN, true),
    txBytes: Number(view.getBigUint64(BYTES_ACKED, true)),
    txPackets: view.getUint32(SEGMENTS_OUT, true),
  };
}
