import test from "ava";
import { PathMatcher } from "../../builder/dockerfile/ignore.ts";
import { answer } from "../../builder/lint/answers.ts";

/** What `docker build --check` finds in a Dockerfile: rules with the lines that they are about. */
async function check(lines: readonly string[], buildArgs: readonly [string, string][] = []) {
  const answered = await answer("frontend.lint", {
    dockerfile: Buffer.from(lines.join("\n")),
    dockerfileName: "Dockerfile",
    target: undefined,
    buildArgs: new Map(buildArgs),
    platform: undefined,
    ignore: new PathMatcher(["hidden"]),
    variablesOf: async (image) => (image === "here" ? ["OF_IMAGE"] : undefined),
  });
  const text = (name: string) => Buffer.from(answered[name] ?? []).toString();
  const { warnings, buildError } = JSON.parse(text("result.json")) as {
    readonly warnings: readonly {
      readonly ruleName: string;
      readonly detail: string;
      readonly location: { readonly ranges: readonly { readonly start: { line: number } }[] };
    }[];
    readonly buildError?: { readonly message: string };
  };
  const found = warnings.map(
    ({ ruleName, location }) => `${ruleName} ${location.ranges[0]?.start.line}`,
  );
  const details = warnings.map(({ detail }) => detail);
  return { found, details, error: buildError?.message, code: text("result.statuscode") };
}

const CASES: readonly [what: string, lines: readonly string[], found: readonly string[]][] = [
  ["a plain Dockerfile", ["FROM scratch AS a", "COPY x /", 'CMD ["/x"]'], []],
  ["a stage's name in capitals", ["FROM scratch AS Big"], ["StageNameCasing 1"]],
  ["keywords of two cases", ["FROM scratch as a"], ["FromAsCasing 1"]],
  [
    "an instruction that is written unlike the others",
    ["FROM scratch", "COPY x /", "env a=b"],
    ["ConsistentInstructionCasing 3"],
  ],
  [
    "an empty line that continues",
    ["FROM scratch", "COPY x \\", "", "/"],
    ["NoEmptyContinuation 4"],
  ],
  ["two stages of a name", ["FROM scratch AS a", "FROM scratch AS a"], ["DuplicateStageName 2"]],
  ["a stage called context", ["FROM scratch AS context"], ["ReservedStageName 1"]],
  ["a maintainer", ["FROM scratch", "MAINTAINER me"], ["MaintainerDeprecated 2"]],
  ["a command for the shell", ["FROM scratch", "CMD x"], ["JSONArgsRecommended 2"]],
  ["a command for a chosen shell", ["FROM scratch", 'SHELL ["/x"]', "CMD x"], []],
  [
    "two commands",
    ["FROM scratch", 'CMD ["a"]', 'CMD ["b"]'],
    ["MultipleInstructionsDisallowed 2"],
  ],
  ["a value after a blank", ["FROM scratch", "ENV a b"], ["LegacyKeyValueFormat 2"]],
  ["a secret", ["FROM scratch", "ARG API_KEY", "ENV PUBLIC_KEY=1"], ["SecretsUsedInArgOrEnv 2"]],
  [
    "a relative directory",
    ["FROM scratch AS a", "WORKDIR x", "FROM a", "WORKDIR y"],
    ["WorkdirRelativePath 2"],
  ],
  [
    "ports in odd forms",
    ["FROM scratch", "EXPOSE 1/TCP 8:80"],
    ["ExposeProtoCasing 2", "ExposeInvalidFormat 2"],
  ],
  [
    "a platform that is the default",
    ["FROM --platform=$TARGETPLATFORM here"],
    ["RedundantTargetPlatform 1"],
  ],
  [
    "a constant platform",
    ["FROM --platform=linux/arm64 here", "FROM --platform=linux/arm64 here AS arm64"],
    ["FromPlatformFlagConstDisallowed 1"],
  ],
  [
    "an image by a variable nobody has declared",
    ["ARG TAG=1", "FROM here:${TAGG:-x}$TAGS"],
    ["UndefinedArgInFrom 2"],
  ],
  [
    "an image by a variable without a default",
    ["ARG BASE", "FROM $BASE"],
    ["InvalidDefaultArgInFrom 2"],
  ],
  [
    "variables of the image, the stage below and nobody",
    ["FROM here AS a", "ARG OWN=1", "FROM a", "COPY $OF_IMAGE $OWN $OTHER ${X:-y} /"],
    ["UndefinedVar 4"],
  ],
  ["variables of an image that is not here", ["FROM elsewhere", "COPY $ANY /"], []],
];
for (const [what, lines, found] of CASES) {
  test(`a check finds in ${what}: ${found.join(", ") || "nothing"}`, async (t) => {
    t.deepEqual((await check(lines)).found, found);
  });
}

test("a check guesses what was meant", async (t) => {
  const { details } = await check(["FROM scratch", "ARG DIR_ASSETS", "COPY $DIR_ASSET /"]);
  t.deepEqual(details, ["Usage of undefined variable '$DIR_ASSET' (did you mean $DIR_ASSETS?)"]);
});

test("rules are left out, asked for and made errors by a directive or a build argument", async (t) => {
  const lines = ["FROM scratch AS A", "# odd", "ARG a", "COPY hidden /"];
  t.deepEqual((await check(["# check=skip=StageNameCasing", ...lines])).found, []);
  const all = await check(["# check=experimental=all", ...lines]);
  t.deepEqual(all.found, [
    "StageNameCasing 2",
    "InvalidDefinitionDescription 4",
    "CopyIgnoredFile 5",
  ]);
  const strict = await check(lines, [["BUILDKIT_DOCKERFILE_CHECK", "error=true"]]);
  t.is(strict.error, "lint violation found for rules: StageNameCasing");
  t.is(strict.code, "1");
  t.is((await check(["FROM scratch"])).code, "0");
  t.is((await check(["# check=odd=1", "FROM scratch"])).error, 'invalid check option "odd"');
});

test("what cannot be built is an error beside what was found", async (t) => {
  const { found, error } = await check(["FROM scratch AS A", "FROM --platform=$NONE scratch"]);
  t.deepEqual(found, ["StageNameCasing 1", "UndefinedArgInFrom 2"]);
  t.is(error, "empty platform value from expression $NONE");
});
