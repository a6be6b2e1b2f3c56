import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import test, { type ExecutionContext } from "ava";
import { call } from "../../sentry/host/call.ts";
import { writeBytes } from "../../sentry/host/io.ts";
import { setWindowSize } from "../../sentry/host/terminal.ts";
import { until } from "../fixtures/until.ts";
import { openPty, type Pty, readUntil } from "../sentry/container/pty.ts";
import { Ddcli } from "./ddcli.ts";

const TCGETS = 0x5401;

/** The line discipline of a terminal, to compare. */
function lineDiscipline({ slave }: Pty): string {
  const termios = Buffer.alloc(36);
  call("ioctl", slave, TCGETS, termios);
  return termios.toString("hex");
}

interface OnTerminal {
  readonly pty: Pty;
  readonly child: ChildProcess;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
}

/** ddcli on a terminal of its own. */
function onTerminal(t: ExecutionContext, dd: Ddcli, ...words: string[]): OnTerminal {
  const pty = openPty(30, 100);
  const { slave } = pty;
  // It gets a session with the pty as controlling terminal, as a shell in a window has.
  const child = dd.spawn(words, [slave, slave, slave], {}, ["setsid", "--ctty"]);
  const ended = once(child, "exit").then(([code]) => code as number | null);
  t.teardown(() => {
    child.kill("SIGKILL");
    pty.close();
  });
  return { pty, child, ended };
}

test("run -it gives a terminal of the user's size that follows it, and what is typed arrives", async (t) => {
  const words = ["run", "--rm", "-it", "host", "sh"];
  const { pty, child, ended } = onTerminal(t, new Ddcli(t), ...words);
  const before = lineDiscipline(pty);
  writeBytes(pty.master, Buffer.from("stty size; tty\n"));
  await readUntil(pty.master, (text) => /30 100\s+\/dev\/pts\/\d/.test(text));
  t.not(lineDiscipline(pty), before, "raw while it runs");

  setWindowSize(pty.master, 40, 120);
  child.kill("SIGWINCH");
  const follow = "until [ \"$(stty size)\" = '40 120' ]; do sleep 0.05; done; echo it' 'does\n";
  writeBytes(pty.master, Buffer.from(follow));
  await readUntil(pty.master, (text) => text.includes("it does"));

  writeBytes(pty.master, Buffer.from("exit 6\n"));
  t.is(await ended, 6);
  t.is(lineDiscipline(pty), before, "restored");
});

test("Ctrl-C goes to the container's foreground job, not to ddcli", async (t) => {
  const { pty, ended } = onTerminal(t, new Ddcli(t), ...["run", "--rm", "-it", "host", "sh"]);
  writeBytes(pty.master, Buffer.from("sh -c 'echo rea''dy; exec sleep 1000'\n"));
  await readUntil(pty.master, (text) => text.includes("ready"));
  writeBytes(pty.master, Buffer.from("\u0003"));
  writeBytes(pty.master, Buffer.from("echo still he''re; exit\n"));
  await readUntil(pty.master, (text) => text.includes("still here"));
  await ended;
  t.pass();
});

const ENDS = [
  ["SIGTERM, passed on to a container that dies of it", ["host", "sleep", "1000"], "SIGTERM", 143],
  ["SIGHUP", ["host", "sleep", "1000"], "SIGHUP", 129],
  ["a defect of the sentry", ["-e", "FAKE_DEFECT=1", "host", "sleep", "1000"], undefined, 1],
  ["a command that is not there", ["host", "nosuch"], undefined, 127],
] as const;

for (const [what, words, signal, expected] of ENDS) {
  test(`the terminal is restored after ${what}`, async (t) => {
    const pty = openPty();
    const before = lineDiscipline(pty);
    pty.close();
    const run = onTerminal(t, new Ddcli(t), "run", "--rm", "-it", ...words);
    if (signal !== undefined) {
      t.true(await until(() => lineDiscipline(run.pty) !== before));
      run.child.kill(signal);
    }
    t.is(await run.ended, expected);
    t.is(lineDiscipline(run.pty), before);
  });
}

test("exec -it has a terminal of its own beside a background container", async (t) => {
  const dd = new Ddcli(t);
  await dd.run("run", "-d", "--name", "web", "host", "sleep", "1000");
  const { pty, ended } = onTerminal(t, dd, "exec", "-it", "web", "sh");
  const before = lineDiscipline(pty);
  writeBytes(pty.master, Buffer.from("stty size; exit 8\n"));
  await readUntil(pty.master, (text) => text.includes("30 100"));
  t.is(await ended, 8);
  t.is(lineDiscipline(pty), before);
});

test("a process in a terminal that disappears gets a hang-up", async (t) => {
  const dd = new Ddcli(t);
  await dd.run("run", "-d", "--name", "web", "host", "sleep", "1000");
  const { pty, child } = onTerminal(t, dd, "exec", "-it", "web", "sleep", "777");
  await readUntil(pty.master, () => true);
  const runs = async () => (await dd.run("top", "web")).stdout.includes("sleep 777");
  t.true(await until(runs));
  child.kill("SIGKILL");
  t.true(await until(async () => !(await runs())));
});
