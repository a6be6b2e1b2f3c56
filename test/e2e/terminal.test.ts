import { join } from "node:path";
import test from "ava";
import { DDCLI, MODES, modeOption, openDd } from "../fixtures/dd.ts";
import { image, TREE } from "../fixtures/images.ts";
import { runProgram } from "../fixtures/program.ts";
import { caseOf } from "../known.ts";

/** What the driver does next: see test/fixtures/terminal.py. */
type Step = { expect: string } | { send: string } | { size: readonly [number, number] };

const dd = openDd();
test.after.always(() => dd.close());
test.serial("terminal: the image is loaded", async (t) => {
  t.timeout(10 * 60_000);
  await t.notThrowsAsync(dd.load(image("debian")));
});

const typed = (...lines: string[]): Step[] => lines.map((line) => ({ send: `${line}\r` }));

/** Says when it starts and when it goes on after a stop, and repeats lines in angle brackets. */
const ECHO = [
  "import signal, sys",
  "signal.signal(signal.SIGCONT, lambda *_: print('back', flush=True))",
  "print('mark', flush=True)",
  "for line in sys.stdin: print('<' + line.strip() + '>', flush=True)",
].join("\n");

const SESSIONS: readonly {
  readonly name: string;
  readonly command: readonly string[];
  readonly steps: readonly Step[];
  readonly code: number;
}[] = [
  {
    name: "a shell prompts, echoes and ends with its code",
    command: ["bash", "--norc"],
    steps: [
      ...typed("PS1='ready> '"),
      { expect: "\r\nready> " },
      ...typed("tty | cut -c1-9; echo $((6*7))"),
      { expect: "/dev/pts/\r\n42\r\nready> " },
      ...typed("exit 6"),
    ],
    code: 6,
  },
  {
    name: "^C interrupts the program and not the shell",
    command: ["bash", "--norc"],
    steps: [
      ...typed("PS1='ready> '", "sh -c 'echo ma''rk; exec sleep 1000'"),
      { expect: "\r\nmark\r\n" },
      { send: "\x03" },
      { expect: "ready> " },
      ...typed("echo code $?"),
      { expect: "\r\ncode 130\r\n" },
      ...typed("exit 0"),
    ],
    code: 0,
  },
  {
    name: "^Z stops a job, bg and fg go on with it",
    command: ["bash", "--norc"],
    steps: [
      ...typed(`echo "${ECHO}" > /tmp/echo.py`, "PS1='ready> '", "python3 /tmp/echo.py"),
      { expect: "\r\nmark\r\n" },
      { send: "\x1a" },
      { expect: "Stopped" },
      { expect: "ready> " },
      ...typed("jobs"),
      { expect: "Stopped" },
      ...typed("fg"),
      { expect: "back\r\n" },
      ...typed("echoed"),
      { expect: "<echoed>\r\n" },
      { send: "\x04" },
      { expect: "ready> " },
      { send: "\x04" },
    ],
    code: 0,
  },
  {
    name: "the terminal's size follows ours",
    command: ["bash", "--norc"],
    steps: [
      ...typed("PS1='ready> '", "stty size"),
      { expect: "\r\n24 80\r\n" },
      { size: [40, 120] },
      ...typed("until [ \"$(stty size)\" = '40 120' ]; do sleep 0.05; done; echo it' 'is"),
      { expect: "\r\nit is\r\n" },
      ...typed("exit 0"),
    ],
    code: 0,
  },
  {
    name: "a program in raw mode gets every key",
    command: [
      "python3",
      "-c",
      "import sys,tty; tty.setraw(0); print('raw', end='\\r\\n', flush=True); print(ascii(sys.stdin.buffer.raw.read(3)), end='\\r\\n')",
    ],
    steps: [{ expect: "raw\r\n" }, { send: "\x03\x1aq" }, { expect: "b'\\x03\\x1aq'\r\n" }],
    code: 0,
  },
];

const driver = (steps: readonly Step[], command: readonly string[]) =>
  ["python3", join(TREE, "test/fixtures/terminal.py"), JSON.stringify(steps)].concat(command);

for (const { name, command, steps, code } of SESSIONS) {
  test.serial(`terminal: ${name}, on the host`, async (t) => {
    t.timeout(300_000);
    const native = join(TREE, "test/fixtures/native.sh");
    const result = await runProgram(
      driver(steps, [native, image("debian").root, "-", ...command]),
      {
        timeoutMs: 100_000,
      },
    );
    t.is(result.code, code, result.stdout + result.stderr);
  });
  for (const mode of MODES) {
    const title = `terminal: ${name}, ${mode}`;
    caseOf(title, test.serial)(title, async (t) => {
      t.timeout(300_000);
      const result = await runProgram(
        driver(
          steps,
          [process.execPath, DDCLI, "run", "--rm", "-it", "-e", "TERM=dumb"].concat(
            modeOption(mode),
            "debian:test",
            command,
          ),
        ),
        { env: dd.env, timeoutMs: 100_000 },
      );
      t.is(result.code, code, result.stdout + result.stderr);
    });
  }
}
