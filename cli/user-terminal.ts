import { isDeepStrictEqual } from "node:util";
import { Errno } from "../sentry/abi/errno.ts";
import { close, O_NONBLOCK, reopen } from "../sentry/host/io.ts";
import { isTerminal, RawTerminal, windowSize } from "../sentry/host/terminal.ts";
import type { WindowSize } from "../sentry/spec.ts";
import { CliError, EXIT } from "./errors.ts";

const O_RDWR = 2;
const O_NOCTTY = 0o400;
const STDIN = 0;
const STDOUT = 1;
/** When there is none to ask. */
const DEFAULT_SIZE: WindowSize = { rows: 24, cols: 80 };

/** @throws {CliError} `NO_TERMINAL` when nothing can be typed here. */
export function requireTerminal(): void {
  if (isTerminal(STDIN)) return;
  throw new CliError("NO_TERMINAL", "the input device is not a TTY", {
    hint: "Leave out -t, or run it in a terminal",
    exitCode: EXIT.failed,
  });
}

/** This process's terminal, lent to a container. */
export class UserTerminal {
  /** Where the container's terminal is typed into and printed to; non-blocking where it is a terminal. */
  readonly ends: { readonly input: number | undefined; readonly output: number };
  private readonly raw: RawTerminal | undefined;
  private readonly own: readonly number[];
  /** The last size that was asked for. */
  private told = DEFAULT_SIZE;

  private constructor(
    ends: UserTerminal["ends"],
    raw: RawTerminal | undefined,
    own: readonly number[],
  ) {
    this.ends = ends;
    this.raw = raw;
    this.own = own;
  }

  /**
   * Lends the terminal, raw if it is typed into.
   * @throws {CliError} `NO_TERMINAL` when `stdin` is wanted and is no terminal.
   */
  static enter(stdin: boolean): UserTerminal {
    if (stdin) requireTerminal();
    // Descriptions of our own: making the shared ones non-blocking would surprise whoever else has them.
    const own: number[] = [];
    const lend = (fd: number): number => {
      if (!isTerminal(fd)) return fd;
      const again = reopen(fd, O_RDWR | O_NONBLOCK | O_NOCTTY);
      if (again instanceof Errno) return fd;
      own.push(again);
      return again;
    };
    const input = stdin ? lend(STDIN) : undefined;
    const output = lend(STDOUT);
    const raw = stdin ? RawTerminal.enter(STDIN) : undefined;
    return new UserTerminal({ input, output }, raw instanceof Errno ? undefined : raw, own);
  }

  size(): WindowSize {
    const size = windowSize(isTerminal(STDOUT) ? STDOUT : STDIN);
    this.told = size instanceof Errno || size.rows === 0 || size.cols === 0 ? DEFAULT_SIZE : size;
    return this.told;
  }

  /** Calls back when the user has changed the terminal's size: at once if that was since `size()` told it. */
  onResize(callback: (size: WindowSize) => void): void {
    const before = this.told;
    process.on("SIGWINCH", () => callback(this.size()));
    if (!isDeepStrictEqual(this.size(), before)) callback(this.size());
  }

  /** Takes the terminal back as it was. */
  leave(): void {
    this.raw?.restore();
    for (const fd of this.own) close(fd);
  }
}
