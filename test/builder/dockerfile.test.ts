import test from "ava";
import fc from "fast-check";
import { expand, splitWords } from "../../builder/dockerfile/expand.ts";
import type { Instruction } from "../../builder/dockerfile/instruction.ts";
import { parseDockerfile } from "../../builder/dockerfile/parse.ts";
import { BuildError } from "../../builder/errors.ts";

const parse = (text: string) => parseDockerfile(Buffer.from(text));

function failure(text: string): BuildError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(text)} was taken for a Dockerfile`);
}

/** The only instruction after `FROM scratch`. */
function one<K extends Instruction["kind"]>(text: string, kind: K): Instruction & { kind: K } {
  const { stages } = parse(`FROM scratch\n${text}`);
  const [instruction, ...rest] = stages[0]?.instructions ?? [];
  if (instruction?.kind !== kind || rest.length > 0) throw new Error(`${text} is ${kind} no more`);
  return instruction as Instruction & { kind: K };
}

const ERRORS: readonly (readonly [text: string, message: string, line: number])[] = [
  ["", "file with no instructions", 0],
  ["# only a comment\n", "file with no instructions", 1],
  ["RUN true\n", "no build stage in current context", 1],
  [
    "FROM a\nRNU x",
    "dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)",
    2,
  ],
  ["FROM a b", "dockerfile parse error on line 1: FROM requires either one or three arguments", 1],
  [
    "FROM a\nCOPY x",
    "dockerfile parse error on line 2: COPY requires at least two arguments, " +
      "but only one was provided. Destination could not be determined",
    2,
  ],
  ["FROM a\n\nENV", "dockerfile parse error on line 3: ENV requires at least one argument", 3],
  ["FROM a\nENV x", "dockerfile parse error on line 2: ENV must have two arguments", 2],
  [
    "FROM a\nENV a=b c",
    'dockerfile parse error on line 2: Syntax error - can\'t find = in "c". ' +
      "Must be of the form: name=value",
    2,
  ],
  ["FROM a\nENV =b", "dockerfile parse error on line 2: ENV names can not be blank", 2],
  [
    "FROM a\nCMD [1]",
    "dockerfile parse error on line 2: when using JSON array syntax, " +
      "arrays must be comprised of strings only",
    2,
  ],
  [
    "FROM a\nONBUILD FROM b",
    "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger",
    2,
  ],
  [
    "FROM a\nONBUILD ONBUILD RUN b",
    "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
    2,
  ],
  [
    "FROM a\nCOPY --fro=b c d",
    "dockerfile parse error on line 2: unknown flag: --fro (did you mean from?)",
    2,
  ],
  [
    "FROM a\nCOPY --from=b --from=c d e",
    "dockerfile parse error on line 2: Duplicate flag specified: from",
    2,
  ],
  ["FROM a\nRUN <<X\ntrue", "unterminated heredoc", 2],
  ["# escape=x\nFROM a", "invalid escape token 'x' does not match ` or \\", 1],
  ["# escape=`\n# escape=`\nFROM a", "only one escape parser directive can be used", 2],
  [
    "FROM a\nHEALTHCHECK --interval=1us CMD x",
    'dockerfile parse error on line 2: Interval "interval" cannot be less than 1ms',
    2,
  ],
  [
    "FROM a\nHEALTHCHECK FOO",
    'dockerfile parse error on line 2: Unknown type "FOO" in HEALTHCHECK (try CMD)',
    2,
  ],
  [
    "FROM a\nRUN --network=x true",
    'dockerfile parse error on line 2: unsupported network mode "x"',
    2,
  ],
  [
    "FROM a AS 1x",
    'dockerfile parse error on line 1: invalid name for build stage: "1x", ' +
      "name can't start with a number or contain symbols",
    1,
  ],
];

for (const [text, message, line] of ERRORS) {
  test(`${JSON.stringify(text)} is refused in BuildKit's words`, (t) => {
    const error = failure(text);
    t.is(error.message, message);
    t.is(error.code, "DOCKERFILE_INVALID");
    t.is(error.range?.start, line);
  });
}

test("continuation lines are joined, comments and empty lines in them are not part of it", (t) => {
  const run = one("RUN a \\\n  # comment\n\n  b \\  \n  c\n", "RUN");
  t.is(run.command.words[0], "a   b   c");
  t.deepEqual(run.range, { start: 2, end: 6 });
});

test("an escaped escape at the end of a line does not continue it", (t) => {
  const { stages } = parse("FROM a\nRUN x\\\\\nRUN y");
  t.is(stages[0]?.instructions.length, 2);
});

test("the escape directive makes the backslash an ordinary character", (t) => {
  const { stages, escapeToken } = parse("# escape=`\nFROM a\nRUN dir C:\\ `\n  x");
  t.is(escapeToken, "`");
  const [run] = stages[0]?.instructions ?? [];
  t.is(run?.kind === "RUN" && run.command.words[0], "dir C:\\   x");
});

test("a syntax directive is read; a comment that looks like one later is a comment", (t) => {
  t.is(parse("# syntax=docker/dockerfile:1\nFROM a").syntax, "docker/dockerfile:1");
  t.is(parse("#\n# syntax=docker/dockerfile:1\nFROM a").syntax, undefined);
});

test("a byte order mark and carriage returns do not matter", (t) => {
  const { stages } = parse("\uFEFFFROM a\r\nRUN x \\\r\n y\r\n");
  const [run] = stages[0]?.instructions ?? [];
  t.is(run?.kind === "RUN" && run.command.words[0], "x  y");
});

test("here-documents of RUN, COPY and ONBUILD are taken with their rules", (t) => {
  const run = one("RUN <<A cat >x && <<-'B' cat\na $x\nA\n\tb $x\n\tB\n", "RUN");
  t.deepEqual(run.heredocs, [
    { name: "A", content: "a $x\n", expand: true, chomp: false },
    { name: "B", content: "\tb $x\n", expand: false, chomp: true },
  ]);
  const copy = one("COPY <<one <<two /x/\n1\none\n2\ntwo\n", "COPY");
  t.deepEqual(
    copy.contents.map(({ name, content }) => [name, content]),
    [
      ["one", "1\n"],
      ["two", "2\n"],
    ],
  );
  t.deepEqual(copy.sources, []);
  const onBuild = one("ONBUILD RUN <<E\necho\nE\n", "ONBUILD");
  t.is(onBuild.trigger, "RUN <<E\necho\nE");
});

test("no here-document begins in a JSON array, a quoted word or arithmetic", (t) => {
  t.is(one('RUN ["cat", "<<E"]', "RUN").heredocs.length, 0);
  t.is(one('RUN echo "<<E"', "RUN").heredocs.length, 0);
  t.is(one("RUN cat <<<E", "RUN").heredocs.length, 0);
});

test("flags end where the first other word begins, and keep what was quoted in them", (t) => {
  const copy = one('COPY --chown=1:2 --chmod="u=rw" --link a --from=b c', "COPY");
  t.is(copy.chown, "1:2");
  t.is(copy.chmod, "u=rw");
  t.true(copy.link);
  t.deepEqual(copy.sources, ["a", "--from=b"]);
});

test("both forms of ENV, and quotes in its words", (t) => {
  t.deepEqual(one("ENV a b  c", "ENV").pairs, [{ key: "a", value: "b  c", spaced: true }]);
  t.deepEqual(one('ENV a=b c="d e" f=\\ g', "ENV").pairs, [
    { key: "a", value: "b", spaced: false },
    { key: "c", value: '"d e"', spaced: false },
    { key: "f", value: "\\ g", spaced: false },
  ]);
});

test("a health check has its durations in nanoseconds", (t) => {
  const health = one('HEALTHCHECK --interval=1m30s --retries=3 CMD ["a", "b"]', "HEALTHCHECK");
  t.deepEqual(health.check, { Test: ["CMD", "a", "b"], Interval: 90e9, Retries: 3 });
  t.deepEqual(one("HEALTHCHECK NONE", "HEALTHCHECK").check, { Test: ["NONE"] });
});

const VARIABLES = new Map([
  ["x", "one two"],
  ["e", ""],
  ["path", "/a/b/c.tar.gz"],
]);
const EXPANSIONS: readonly (readonly [text: string, result: string])[] = [
  ["$x", "one two"],
  ["a${x}b", "aone twob"],
  ["$u|", "|"],
  ["'$x'", "$x"],
  ['"$x"', "one two"],
  ["\\$x", "$x"],
  ['"\\$x \\a"', "$x \\a"],
  ["${u:-d}", "d"],
  ["${e:-d}", "d"],
  ["${e-d}", ""],
  ["${u-d}", "d"],
  ["${x:+s}", "s"],
  ["${e:+s}", ""],
  ["${e+s}", "s"],
  ["${u:-${v:-deep}}", "deep"],
  ["${path##*/}", "c.tar.gz"],
  ["${path#*/}", "a/b/c.tar.gz"],
  ["${path%.*}", "/a/b/c.tar"],
  ["${path%%.*}", "/a/b/c"],
  ["${path/b/X}", "/a/X/c.tar.gz"],
  ["${path//\\//_}", "_a_b_c.tar.gz"],
  ["${x//o/0}", "0ne tw0"],
  ["$1$@", ""],
  ["100$", "100$"],
];
for (const [text, result] of EXPANSIONS) {
  test(`${text} expands to ${JSON.stringify(result)}`, (t) => {
    t.is(expand(text, VARIABLES, { escapeToken: "\\" }), result);
  });
}

test("what cannot be expanded is refused in BuildKit's words", (t) => {
  const message = (text: string) =>
    t.throws(() => expand(text, VARIABLES, { escapeToken: "\\" }), { instanceOf: BuildError })
      ?.message;
  t.is(message("${x"), 'failed to process "${x": unsupported modifier () in substitution');
  t.is(message("${x:-y"), "failed to process \"${x:-y\": syntax error: missing '}'");
  t.is(message("${}"), 'failed to process "${}": syntax error: bad substitution');
  t.is(message("${u:?gone}"), 'failed to process "${u:?gone}": u: gone');
  t.is(message("${e:?}"), 'failed to process "${e:?}": e: is not allowed to be empty');
  t.regex(message("'x") ?? "", /looking for matching single-quote/);
});

test("words are split after expansion, where nothing is quoted", (t) => {
  t.deepEqual(splitWords('$x "$x" a\\ b', VARIABLES, { escapeToken: "\\" }), [
    "one",
    "two",
    "one two",
    "a b",
  ]);
});

const text = fc.string({
  unit: fc.constantFrom(..."RUNFOMCPYADENVagr \\\n#\"'${}:-+?/*[]=<>,~`\t\r|".split("")),
  maxLength: 200,
});

test("whatever a Dockerfile holds, it is parsed or refused with a reason", (t) => {
  fc.assert(
    fc.property(text, (body) => {
      try {
        parse(`FROM a\n${body}`);
      } catch (error) {
        if (!(error instanceof BuildError)) throw error;
      }
      try {
        expand(body, VARIABLES, { escapeToken: "\\" });
      } catch (error) {
        if (!(error instanceof BuildError)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test("what files are taken from is no matter of variables", (t) => {
  for (const [line, words] of [
    ["COPY --from=$A /a /b", /^dockerfile parse error on line 2: variable expansion is not supp/],
    ["RUN --mount=from=$A,target=/a true", /'from' doesn't support variable expansion/],
  ] as const) {
    t.throws(() => parseDockerfile(Buffer.from(`FROM scratch\n${line}\n`)), { message: words });
  }
});

test("a word that is quoted for it expands to itself", (t) => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (word) => {
      const quoted = `"${word.replace(/["$\\]/g, "\\$&")}"`;
      return expand(quoted, VARIABLES, { escapeToken: "\\" }) === word;
    }),
  );
  t.pass();
});

test("patterns with many stars, deep nesting and huge lines end quickly or are refused", (t) => {
  const long = new Map([["a", "a".repeat(20_000)]]);
  t.is(expand(`\${a#${"*a".repeat(200)}b}`, long, { escapeToken: "\\" }).length, 20_000);
  t.throws(() => expand("${u:-".repeat(1000), VARIABLES, { escapeToken: "\\" }), {
    instanceOf: BuildError,
  });
  t.regex(failure(`FROM a\nRUN ${"x".repeat(70_000)}`).message, /line greater than max allowed/);
});
