import test from "ava";
import { CliError } from "../../cli/errors.ts";
import { EXEC_OPTIONS, RM_OPTIONS, RUN_OPTIONS } from "../../cli/options.ts";
import { type Grammar, parse } from "../../cli/parse.ts";

const RUN: Grammar = { options: RUN_OPTIONS, optionsEndAtOperand: true };
const EXEC: Grammar = { options: EXEC_OPTIONS, optionsEndAtOperand: true };
const RM: Grammar = { options: RM_OPTIONS };

/** Command lines docker accepts, and what it makes of them. */
const ACCEPTED = [
  ["clustered switches", RUN, "-it img", { interactive: true, tty: true }, ["img"]],
  [
    "a cluster that ends in a valued option",
    RUN,
    "-dePATH=/x img",
    { detach: true, env: ["PATH=/x"] },
    ["img"],
  ],
  [
    "a cluster whose value is the next word",
    RUN,
    "-itu root img",
    { tty: true, user: "root" },
    ["img"],
  ],
  ["-e=VALUE drops the equals sign", RUN, "-e=A=1 img", { env: ["A=1"] }, ["img"]],
  ["--name=value", RUN, "--name=web img", { name: "web" }, ["img"]],
  ["--name value", RUN, "--name web img", { name: "web" }, ["img"]],
  ["an empty value", RUN, "--entrypoint= img", { entrypoint: "" }, ["img"]],
  ["a value that looks like an option", RUN, "--name -x img", { name: "-x" }, ["img"]],
  [
    "options end at the image",
    RUN,
    "img --rm -it ls -l",
    { rm: false, tty: false },
    ["img", "--rm", "-it", "ls", "-l"],
  ],
  ["-- ends the options", RUN, "--rm -- --img x", { rm: true }, ["--img", "x"]],
  ["-- after the image belongs to the command", RUN, "img -- x", {}, ["img", "--", "x"]],
  ["a lone dash is an operand", RUN, "- x", {}, ["-", "x"]],
  [
    "repeated options keep their order",
    RUN,
    "-e A=1 --env B=2 -eC=3 img",
    { env: ["A=1", "B=2", "C=3"] },
    ["img"],
  ],
  ["the last of a single option wins", RUN, "--name a --name b img", { name: "b" }, ["img"]],
  ["--switch=false", RUN, "--rm=false --init=true img", { rm: false, init: true }, ["img"]],
  ["-t=false", RUN, "-t=false img", { tty: false }, ["img"]],
  [
    "exec's options end at the container",
    EXEC,
    "-it web bash -c x",
    { tty: true },
    ["web", "bash", "-c", "x"],
  ],
  ["other commands take options anywhere", RM, "a -f b", { force: true }, ["a", "b"]],
  ["and end them at --", RM, "a -- -f", { force: false }, ["a", "-f"]],
] as const;

for (const [name, grammar, line, values, operands] of ACCEPTED) {
  test(`parse() takes ${name}: ${line}`, (t) => {
    const parsed = parse(grammar, line.split(" "));
    t.deepEqual(parsed.operands, operands);
    for (const [key, value] of Object.entries(values)) t.deepEqual(parsed.values[key], value, key);
  });
}

const REFUSED = [
  ["an unknown option", RUN, "--nmae x img", "unknown option: --nmae", "Did you mean --name?"],
  ["an unknown letter", RUN, "-itz img", "unknown option: -z in -itz", undefined],
  ["one dash for two", RUN, "-name x img", "unknown option: -n in -name", "Did you mean --name?"],
  ["a missing value", RUN, "--name", "option --name needs a value: --name NAME", undefined],
  [
    "a missing value in a cluster",
    RUN,
    "-itu",
    "option -u needs a value: -u USER[:GROUP]",
    undefined,
  ],
  [
    "a value for a switch",
    RUN,
    "--rm=maybe img",
    'invalid value "maybe" for --rm: it takes true or false',
    undefined,
  ],
  [
    "a value that is no choice",
    RUN,
    "--pull sometimes img",
    'invalid value "sometimes" for --pull',
    "It takes one of: missing, always, never",
  ],
] as const;

for (const [name, grammar, line, message, hint] of REFUSED) {
  test(`parse() refuses ${name}: ${line}`, (t) => {
    const error = t.throws(() => parse(grammar, line.split(" ")), { instanceOf: CliError });
    t.is(error?.message, message);
    t.is(error?.hint, hint);
    t.is(error?.exitCode, 125);
  });
}

test("parse() knows --help and -h everywhere but behind the image", (t) => {
  t.true(parse(RUN, ["--help"]).help);
  t.true(parse(RUN, ["-ih"]).help);
  t.false(parse(RUN, ["img", "--help"]).help);
});

test("values have an entry for every option of the table", (t) => {
  const { values } = parse(RUN, ["img"]);
  t.deepEqual(Object.keys(values).sort(), RUN_OPTIONS.map((option) => option.name).sort());
});
