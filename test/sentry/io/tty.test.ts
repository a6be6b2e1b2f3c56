import test from "ava";
import { Errno } from "../../../sentry/abi/errno.ts";
import { Termios } from "../../../sentry/abi/structs.ts";
import * as tty from "../../../sentry/abi/tty.ts";
import type { ControllingTerminal, JobControl } from "../../../sentry/fs/tty/job-control.ts";
import { INITIAL_TERMIOS, type TermiosValue } from "../../../sentry/fs/tty/line-discipline.ts";
import { Pty, PtyMaster, type PtySlave } from "../../../sentry/fs/tty/pty.ts";
import { TerminalPump } from "../../../sentry/fs/tty/terminal-pump.ts";
import { call } from "../../../sentry/host/call.ts";
import { EpollReactor } from "../../../sentry/host/epoll-reactor.ts";
import { close, readBytes, writeBytes } from "../../../sentry/host/io.ts";
import type { IoctlContext } from "../../../sentry/vfs/open-file.ts";
import { POLLHUP, POLLIN, POLLOUT } from "../../../sentry/vfs/poll.ts";
import { get, must, put } from "./fixtures.ts";

const O_RDWR_NOCTTY_NONBLOCK = 0o2 | 0o400 | 0o4000;

/** Sessions and groups by hand: each caller is `{ session, group }`. */
class FakeJobControl implements JobControl {
  readonly signals: string[] = [];
  readonly terminals = new Map<number, ControllingTerminal>();
  readonly blocked = new Set<number>();
  orphaned = false;

  session(caller: unknown): number {
    return (caller as { session: number }).session;
  }
  group(caller: unknown): number {
    return (caller as { group: number }).group;
  }
  isSessionLeader(caller: unknown): boolean {
    return this.session(caller) === this.group(caller);
  }
  terminal(caller: unknown): ControllingTerminal | undefined {
    return this.terminals.get(this.session(caller));
  }
  setTerminal(session: number, terminal: ControllingTerminal | undefined): void {
    if (terminal === undefined) this.terminals.delete(session);
    else this.terminals.set(session, terminal);
  }
  sessionOf(group: number): number | undefined {
    if (group >= 300) return undefined;
    return group < 100 ? 5 : 6;
  }
  blocksOrIgnores(_caller: unknown, signo: number): boolean {
    return this.blocked.has(signo);
  }
  isOrphaned(): boolean {
    return this.orphaned;
  }
  mayStealTerminal(): boolean {
    return false;
  }
  signalGroup(group: number, signo: number): void {
    this.signals.push(`group ${group}: ${signo}`);
  }
  signalSessionLeader(session: number, signo: number): void {
    this.signals.push(`leader ${session}: ${signo}`);
  }
}

interface Terminal {
  readonly pty: Pty;
  readonly master: PtyMaster;
  readonly slave: PtySlave;
  readonly jobs: FakeJobControl;
  readonly reactor: EpollReactor;
  released: number;
}

function terminal(reactor = new EpollReactor()): Terminal {
  const jobs = new FakeJobControl();
  const noStat = () => must<Errno>(undefined as unknown as Errno);
  const made = { released: 0 };
  const pty = new Pty(0, {
    reactor,
    jobControl: jobs,
    stat: noStat,
    released: () => made.released++,
  });
  pty.locked = false;
  const master = new PtyMaster(pty, 2, noStat);
  const slave = must(pty.open(2)) as PtySlave;
  return Object.assign(made, { pty, master, slave, jobs, reactor });
}

/** An ioctl with a buffer or a number as its argument. */
function ioctl(
  file: PtyMaster | PtySlave,
  request: number,
  argument: Uint8Array | number = 0,
  caller?: unknown,
): number | string | Uint8Array {
  let stored: Uint8Array | undefined;
  const bytes = typeof argument === "number" ? new Uint8Array(0) : argument;
  const context: IoctlContext = {
    argument: typeof argument === "number" ? argument : 0,
    copyIn: (length) => bytes.slice(0, length),
    copyOut: (out) => {
      stored = out;
      return undefined;
    },
    copyOutTo: () => undefined,
    caller,
  };
  const result = file.ioctl(request, context);
  return result instanceof Errno ? result.name : (stored ?? result);
}

const int = (value: number) => new Uint8Array(Int32Array.of(value).buffer);

/** A pseudoterminal of the host. */
function hostTerminal(): { master: number; slave: number } {
  const master = must(call("openat", -100, Buffer.from("/dev/ptmx\0"), O_RDWR_NOCTTY_NONBLOCK, 0));
  must(call("ioctl", master, tty.TIOCSPTLCK, int(0)));
  const slave = must(call("ioctl", master, tty.TIOCGPTPEER, O_RDWR_NOCTTY_NONBLOCK));
  return { master, slave };
}

/** Reads what a descriptor of the host has; `expected` may still be on its way through a kernel worker. */
function hostRead(fd: number, limit = 8192, expected = "!EAGAIN"): string {
  let got = "";
  for (let patience = 200; ; patience--) {
    const bytes = Buffer.alloc(limit - got.length);
    const count = readBytes(fd, bytes);
    if (typeof count === "number") got += bytes.toString("latin1", 0, count);
    else if (got === "" && (expected.startsWith("!") || patience === 0)) return `!${count.name}`;
    if (got.length >= expected.length || count === 0 || patience === 0) return got;
    if (expected.startsWith("!")) return got;
    pause(1);
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Random settings and typing that exercise every branch. @returns the first difference from the host. */
function compare(seed: number): string | undefined {
  let state = seed;
  const random = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const ours = terminal();
  const host = hostTerminal();
  const log: string[] = [];
  let difference: string | undefined;
  const check = (what: string, a: string, b: string) => {
    if (a !== b) difference ??= `${what}: ours ${JSON.stringify(a)}, host ${JSON.stringify(b)}`;
  };
  const keys = "ab _\t\r\n\x7f\x15\x17\x16\x12\x04\x01\x1b\xc3\xa9Zé~\x11";
  const set = (flags: number, ...bits: number[]) =>
    bits.reduce((all, bit) => (random(4) === 0 ? all ^ bit : all), flags);
  for (let step = 0; step < 40 && difference === undefined; step++) {
    const action = random(10);
    if (action === 0) {
      const value: TermiosValue = {
        ...INITIAL_TERMIOS,
        iflag: set(
          INITIAL_TERMIOS.iflag,
          tty.ISTRIP,
          tty.INLCR,
          tty.IGNCR,
          tty.ICRNL,
          tty.IUTF8,
          tty.PARMRK,
          tty.IUCLC,
        ),
        oflag: set(
          INITIAL_TERMIOS.oflag,
          tty.OPOST,
          tty.ONLCR,
          tty.OCRNL,
          tty.ONOCR,
          tty.ONLRET,
          tty.OLCUC,
          tty.XTABS,
        ),
        lflag: set(
          INITIAL_TERMIOS.lflag,
          tty.ECHO,
          tty.ECHOE,
          tty.ECHOK,
          tty.ECHOKE,
          tty.ECHONL,
          tty.ECHOCTL,
          tty.ECHOPRT,
          tty.IEXTEN,
        ),
      };
      log.push(
        `termios ${value.iflag.toString(8)} ${value.oflag.toString(8)} ${value.lflag.toString(8)}`,
      );
      const raw = Termios.bytes(value);
      // What was typed without echo may still be on its way, and would survive the flush.
      pause(5);
      must(call("ioctl", host.slave, tty.TCSETSF, raw));
      ioctl(ours.slave, tty.TCSETSF, raw);
    } else if (action < 7) {
      const text = Array.from({ length: 1 + random(6) }, () => keys[random(keys.length)]).join("");
      log.push(`type ${JSON.stringify(text)}`);
      must(writeBytes(host.master, Buffer.from(text, "latin1")));
      put(ours.master, text);
    } else if (action < 8) {
      const text = ["prompt> ", "x\ty\n", "\rback", "a\bb"][random(4)] ?? "";
      log.push(`print ${JSON.stringify(text)}`);
      must(writeBytes(host.slave, Buffer.from(text, "latin1")));
      put(ours.slave, text);
    } else {
      const count = 1 + random(20);
      log.push(`read ${count}`);
      const mine = get(ours.slave, count);
      check("read", mine, hostRead(host.slave, count, mine));
    }
    const mine = get(ours.master, 8192);
    check("screen", mine, hostRead(host.master, 8192, mine));
  }
  close(host.slave);
  close(host.master);
  ours.slave.close();
  ours.master.close();
  ours.reactor.close();
  return difference === undefined ? undefined : `${difference} after ${log.join("; ")}`;
}

test("typing, editing and printing look and read as on the host's terminals", (t) => {
  for (let seed = 1; seed <= 40; seed++) t.is(compare(seed), undefined, `seed ${seed}`);
});

test("a line is read when it is complete, and Ctrl-D ends the file or the line", (t) => {
  const { master, slave } = terminal();
  put(master, "hel");
  t.is(get(slave), "!EAGAIN");
  t.is(slave.poll() & POLLIN, 0);
  put(master, "lo\rsecond\n");
  t.is(slave.poll() & POLLIN, POLLIN);
  t.is(get(slave, 3), "hel");
  t.is(get(slave), "lo\n");
  t.is(get(slave), "second\n");
  put(master, "part\x04");
  t.is(get(slave), "part");
  put(master, "\x04");
  t.is(get(slave), "");
  t.is(get(master), "hello\r\nsecond\r\npart");
});

test("interrupt, quit and suspend reach the foreground group and empty the input", (t) => {
  const { master, slave, jobs, pty } = terminal();
  pty.foregroundGroup = 7;
  put(master, "typed\x03\x1c\x1a");
  t.deepEqual(jobs.signals, ["group 7: 2", "group 7: 3", "group 7: 20"]);
  t.is(get(slave), "!EAGAIN");
  put(master, "\n");
  t.is(get(slave), "\n");
  t.true(get(master).endsWith("^Z\r\n"));
});

test("Ctrl-S stops output until Ctrl-Q", (t) => {
  const { master, slave } = terminal();
  put(master, "\x13");
  t.is(slave.poll() & POLLOUT, 0);
  t.is(put(slave, "held"), "EAGAIN");
  let woken = 0;
  slave.subscribe(POLLOUT, () => woken++);
  put(master, "\x11");
  t.is(woken, 1);
  t.is(put(slave, "shown"), 5);
  t.is(get(master), "shown");
});

test("raw mode reads by VMIN and VTIME", (t) => {
  const { master, slave, reactor } = terminal();
  const raw = (min: number, time: number) => {
    const cc = Uint8Array.from(INITIAL_TERMIOS.cc);
    cc[tty.VMIN] = min;
    cc[tty.VTIME] = time;
    ioctl(slave, tty.TCSETS, Termios.bytes({ ...INITIAL_TERMIOS, iflag: 0, lflag: 0, cc }));
  };
  raw(0, 0);
  t.is(get(slave), "");
  raw(3, 0);
  put(master, "ab");
  t.is(get(slave), "!EAGAIN");
  put(master, "c");
  t.is(get(slave), "abc");
  for (const [min, typed] of [
    [0, ""],
    [5, "xy"],
  ] as const) {
    raw(min, 1);
    put(master, typed);
    let got = get(slave);
    t.is(got, "!EAGAIN");
    slave.subscribe(POLLIN, () => {
      if (got === "!EAGAIN") got = get(slave);
    });
    reactor.run(() => got !== "!EAGAIN");
    t.is(got, typed);
  }
});

test("a background group is stopped when it reads, and when it writes if TOSTOP says so", (t) => {
  const { slave, jobs, pty } = terminal();
  const leader = { session: 5, group: 5 };
  const background = { session: 5, group: 9 };
  t.is(ioctl(slave, tty.TIOCSCTTY, 0, leader), 0);
  t.is(ioctl(slave, tty.TIOCSCTTY, 0, { session: 6, group: 6 }), "EPERM");
  t.deepEqual(ioctl(slave, tty.TIOCGPGRP, 0, leader), int(5));
  const buffer = {
    length: 4,
    address: 0,
    take: () => Buffer.from("text"),
    put: () => {},
    upTo: () => buffer,
    from: () => buffer,
  };
  t.is(String(slave.read(buffer, background)), "ERESTARTSYS (Interrupted, restart)");
  t.deepEqual(jobs.signals.splice(0), ["group 9: 21"]);
  t.is(slave.write(buffer, background), 4);
  t.is(ioctl(slave, tty.TIOCSPGRP, int(9), background), "ERESTARTSYS");
  t.deepEqual(jobs.signals.splice(0), ["group 9: 22"]);
  jobs.blocked.add(22);
  t.is(ioctl(slave, tty.TIOCSPGRP, int(9), background), 0);
  t.is(pty.foregroundGroup, 9);
  t.is(ioctl(slave, tty.TIOCSPGRP, int(200), leader), "EPERM");
  t.is(ioctl(slave, tty.TIOCSPGRP, int(300), leader), "ESRCH");
  jobs.blocked.clear();
  jobs.orphaned = true;
  t.is(String(slave.read(buffer, leader)), "EIO (Input/output error)");
});

test("a new size is told once, closing the master hangs up, and the number is free at the end", (t) => {
  const made = terminal();
  const { master, slave, jobs } = made;
  ioctl(slave, tty.TIOCSCTTY, 0, { session: 5, group: 5 });
  const size = new Uint8Array(Uint16Array.of(24, 80, 0, 0).buffer);
  ioctl(master, tty.TIOCSWINSZ, size);
  ioctl(master, tty.TIOCSWINSZ, size);
  t.deepEqual(jobs.signals.splice(0), ["group 5: 28"]);
  t.deepEqual(ioctl(slave, tty.TIOCGWINSZ), size);
  master.close();
  t.deepEqual(jobs.signals, ["leader 5: 1", "leader 5: 18", "group 5: 1", "group 5: 18"]);
  t.is(slave.poll() & POLLHUP, POLLHUP);
  t.is(get(slave), "");
  t.is(put(slave, "x"), "EIO");
  t.is(jobs.terminals.size, 0);
  t.is(made.released, 0);
  slave.close();
  t.is(made.released, 1);
});

test("a master reads what is left and then EIO when the last slave has closed", (t) => {
  const { master, slave } = terminal();
  put(slave, "bye\n");
  slave.close();
  t.is(get(master), "bye\r\n");
  t.is(get(master), "!EIO");
  t.is(master.poll() & POLLHUP, POLLHUP);
});

test("packet mode tells a master of flushes and stops before the data", (t) => {
  const { master, slave } = terminal();
  ioctl(master, tty.TIOCPKT, int(1));
  put(slave, "out");
  ioctl(slave, tty.TCXONC, 0);
  t.is(get(master), String.fromCharCode(tty.TIOCPKT_STOP));
  t.is(get(master), "\0out");
  ioctl(slave, tty.TCFLSH, 2);
  t.is(get(master).charCodeAt(0), tty.TIOCPKT_FLUSHREAD | tty.TIOCPKT_FLUSHWRITE);
});

test("a pump carries a session between a terminal and a host descriptor, to the end", (t) => {
  const { master, slave, reactor } = terminal();
  const fd = must(TerminalPump.open(reactor, master));
  writeBytes(fd, Buffer.from("typed\r"));
  while (get(slave) !== "typed\n") reactor.turn(10);
  const long = "x".repeat(300_000);
  let shown = "";
  let written = 0;
  while (written < long.length || shown.length < long.length) {
    const count = put(slave, long.slice(written));
    if (typeof count === "number") written += count;
    reactor.turn(0);
    const part = hostRead(fd);
    if (!part.startsWith("!")) shown += part;
  }
  t.is(shown.slice(-1000), long.slice(-1000));
  slave.close();
  for (;;) {
    reactor.turn(0);
    const part = hostRead(fd);
    if (part === "") break;
  }
  close(fd);
  t.pass();
});
