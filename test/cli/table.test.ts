import { execFileSync } from "node:child_process";
import test from "ava";
import { COMMANDS, family, findCommand } from "../../cli/commands.ts";
import { bashCompletion } from "../../cli/completion.ts";
import { CliError } from "../../cli/errors.ts";
import { applyFilters, hasLabel } from "../../cli/filter.ts";
import { commandHelp, familyHelp, programHelp } from "../../cli/help.ts";
import { duration, fillTemplate, formatRows, size } from "../../cli/output.ts";
import { parse } from "../../cli/parse.ts";
import { closest } from "../../cli/suggest.ts";

test("every row of the table is well formed", (t) => {
  const names = COMMANDS.flatMap((row) => [row.name, ...(row.aliases ?? [])]);
  t.is(new Set(names).size, names.length, "a name is there twice");
  for (const row of COMMANDS) {
    const long = row.options.map((option) => option.name);
    const short = row.options.flatMap((option) => option.short ?? []);
    t.is(new Set(long).size, long.length, `${row.name}: a long option is there twice`);
    t.is(new Set(short).size, short.length, `${row.name}: a short option is there twice`);
    t.false(short.includes("h"), `${row.name}: -h is for help`);
    for (const option of row.options) {
      t.regex(option.name, /^[a-z][a-z0-9-]*$/);
      t.regex(option.help, /[^.]$/, `${row.name} --${option.name}: no full stop`);
    }
    t.regex(row.summary, /^[A-Z].*[^.]$/);
    t.true(row.examples.length > 0, `${row.name} has an example`);
  }
});

test("the code behind every command can be loaded", async (t) => {
  for (const row of COMMANDS) t.is(typeof (await row.load()).main, "function", row.name);
});

test("every example of the help is a command line its command takes", (t) => {
  for (const row of COMMANDS) {
    for (const [line] of row.examples) {
      if (line.includes("<(")) continue;
      const words = (line.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).map((w) =>
        w.replace(/^['"]|['"]$/g, ""),
      );
      t.is(words[0], "ddcli");
      const found = findCommand(words.slice(1));
      t.is(found?.row, row, line);
      const { operands } = parse(row, words.slice(1 + (found?.taken ?? 0)));
      t.true(operands.length >= row.operands.min, line);
      t.true(operands.length <= (row.operands.max ?? 99), line);
    }
  }
});

test("help names every command, option and exit code", (t) => {
  const program = programHelp(false);
  for (const row of COMMANDS) {
    t.true(program.includes(`  ${row.name} `), row.name);
    const help = commandHelp(row, false);
    for (const option of row.options) t.true(help.includes(`--${option.name}`), option.name);
    for (const [code] of row.exitCodes ?? []) t.true(help.includes(code));
  }
  t.false(program.includes("\u001b"), "colour where none was asked for");
  t.true(programHelp(true).includes("\u001b[1m"));
});

test("two-word commands are found, also by docker's other names", (t) => {
  t.is(findCommand(["volume", "ls"])?.row.name, "volume ls");
  t.is(findCommand(["container", "ls", "-a"])?.row.name, "ps");
  t.is(findCommand(["container", "ls", "-a"])?.taken, 2);
  t.is(findCommand(["nonsense"]), undefined);
  t.true(familyHelp("volume", family("volume"), false).includes("volume create"));
});

test("the completion script is bash and completes commands, options and choices", (t) => {
  const script = `${bashCompletion(COMMANDS)}
    complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ddcli; echo "\${COMPREPLY[*]}"; }
    complete_line ddcli vers
    complete_line ddcli volume cr
    complete_line ddcli ps --no-
    complete_line ddcli completion --he`;
  const lines = execFileSync("bash", ["-c", script], { encoding: "utf8" }).split("\n");
  t.deepEqual(lines.slice(0, 4), ["version", "create", "--no-trunc", "--help"]);
});

const TYPOS = [
  ["verison", ["version", "volume"], "version"],
  ["imgaes", ["images", "import"], "images"],
  ["remove", ["rm", "run"], undefined],
  ["inter", ["interactive", "init"], "interactive"],
  ["x".repeat(1000), ["x"], undefined],
] as const;

for (const [typed, words, meant] of TYPOS) {
  test(`closest() takes "${typed.slice(0, 20)}" for ${meant ?? "nothing"}`, (t) => {
    t.is(closest(typed, words), meant);
  });
}

test("formatRows() prints tables, JSON lines and templates", (t) => {
  const rows = [
    { ID: "1", Name: "one" },
    { ID: "222", Name: "two" },
  ];
  const columns = [
    ["ID", "ID"],
    ["NAME", "Name"],
  ] as const;
  const as = (format?: string, json = false) => formatRows(rows, columns, { format, json });
  t.is(as(), "ID    NAME\n1     one\n222   two");
  t.is(as("json"), '{"ID":"1","Name":"one"}\n{"ID":"222","Name":"two"}');
  t.is(as(undefined, true), as("json"));
  t.is(as("{{.Name}}\\t{{ .ID }}"), "one\t1\ntwo\t222");
});

test("fillTemplate() reaches inner fields and says what it does not understand", (t) => {
  t.is(fillTemplate("{{.A.B}} {{json .A}} {{json .}}", { A: { B: 3 } }), '3 {"B":3} {"A":{"B":3}}');
  t.throws(() => fillTemplate("{{range .A}}", {}), { instanceOf: CliError });
  t.throws(() => fillTemplate("{{.constructor}}", {}), { instanceOf: CliError });
});

test("applyFilters() takes values of a key as alternatives and labels all together", (t) => {
  const items = [
    { name: "a", labels: { x: "1", y: "2" } },
    { name: "b", labels: { x: "1" } },
  ];
  const matchers = {
    name: (item: { name: string }, value: string) => item.name === value,
    label: (item: { labels: Record<string, string> }, value: string) =>
      hasLabel(item.labels, value),
  };
  const names = (...filters: string[]) =>
    applyFilters(items, filters, matchers).map((item) => item.name);
  t.deepEqual(names("name=a", "name=b"), ["a", "b"]);
  t.deepEqual(names("label=x=1", "label=y"), ["a"]);
  t.deepEqual(names("label=x=2"), []);
  t.throws(() => names("colour=red"), { instanceOf: CliError });
  t.throws(() => names("name"), { instanceOf: CliError });
});

test("durations and sizes read like docker's", (t) => {
  t.deepEqual([500, 1000, 90_000, 7_200_000, 3 * 86_400_000].map(duration), [
    "Less than a second",
    "1 second",
    "1 minute",
    "2 hours",
    "3 days",
  ]);
  t.deepEqual([0, 999, 1234, 74_800_000].map(size), ["0B", "999B", "1.23kB", "74.8MB"]);
});
