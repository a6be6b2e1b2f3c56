import { closeSync, constants, openSync } from "node:fs";
import { Errno } from "../../../sentry/abi/errno.ts";
import { call } from "../../../sentry/host/call.ts";
import { readBytes } from "../../../sentry/host/io.ts";
import { setWindowSize } from "../../../sentry/host/terminal.ts";
import { until } from "../../fixtures/until.ts";

const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;
const O_CLOEXEC = 0o2000000;

/** A terminal of the host: what a program on `slave` prints is read from `master`. */
export interface Pty {
  /** Non-blocking. */
  readonly master: number;
  readonly slave: number;
  close(): void;
}

export function openPty(rows = 24, cols = 80): Pty {
  const { O_RDWR, O_NOCTTY, O_NONBLOCK } = constants;
  const master = openSync("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  const number = Buffer.alloc(4);
  call("ioctl", master, TIOCSPTLCK, Buffer.alloc(4));
  const got = call("ioctl", master, TIOCGPTN, number);
  if (got instanceof Errno) throw new Error(`No pty: ${got}`);
  const slave = openSync(`/dev/pts/${number.readUInt32LE(0)}`, O_RDWR | O_NOCTTY | O_CLOEXEC);
  setWindowSize(master, rows, cols);
  return {
    master,
    slave,
    close: () => {
      closeSync(master);
      closeSync(slave);
    },
  };
}

/** Reads from a pty's master until `enough` of what has come, or fails when too little comes. */
export async function readUntil(
  master: number,
  enough: (text: string) => boolean,
): Promise<string> {
  const room = Buffer.alloc(4096);
  let text = "";
  const came = await until(() => {
    for (let length = 1; length > 0; ) {
      const read = readBytes(master, room);
      length = typeof read === "number" ? read : 0;
      text += room.toString("utf8", 0, length);
    }
    return enough(text);
  });
  if (!came) throw new Error(`Only this came: ${JSON.stringify(text)}`);
  return text;
}
