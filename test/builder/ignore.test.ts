import test from "ava";
import fc from "fast-check";
import { Glob } from "../../builder/dockerfile/glob.ts";
import { PathMatcher, readIgnoreFile } from "../../builder/dockerfile/ignore.ts";
import { BuildError } from "../../builder/errors.ts";

const ROWS: readonly (readonly [patterns: string, path: string, excluded: boolean])[] = [
  ["a", "a", true],
  ["a", "a/b/c", true],
  ["a", "b/a", false],
  ["*/a", "b/a", true],
  ["*/a", "c/b/a", false],
  ["**/a", "a", true],
  ["**/a", "c/b/a", true],
  ["**/*.go", "x/y.go", true],
  ["a/**", "a/b/c", true],
  ["a/**", "a", false],
  ["a/**/z", "a/z", true],
  ["a/**/z", "a/b/c/z", true],
  ["/a", "a", true],
  ["./a/", "a", true],
  ["a/../b", "b", true],
  ["*.md\n!README.md", "README.md", false],
  ["*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true],
  ["*\n!a/b", "a/b/c", false],
  ["*\n!a/b", "a/c", true],
  ["# a\n\na", "a", true],
  ["# a", "a", false],
  ["a?c", "abc", true],
  ["a?c", "a/c", false],
  ["[a-c]x", "bx", true],
  ["[^a-c]x", "bx", false],
  ["\\*", "*", true],
  ["\\*", "a", false],
  [" a ", "a", true],
  ["!", "a", false],
];
for (const [text, path, excluded] of ROWS) {
  const verb = excluded ? "excludes" : "keeps";
  test(`.dockerignore ${JSON.stringify(text)} ${verb} ${path}`, (t) => {
    if (text === "!") {
      t.throws(() => new PathMatcher(readIgnoreFile(Buffer.from(text))), {
        instanceOf: BuildError,
      });
      return;
    }
    t.is(new PathMatcher(readIgnoreFile(Buffer.from(text))).excludes(path), excluded);
  });
}

test("an excluded directory is looked into only where something below may come back", (t) => {
  const matcher = new PathMatcher(["*", "!a/b/c"]);
  t.false(matcher.prunes("a"));
  t.false(matcher.prunes("a/b"));
  t.true(matcher.prunes("d"));
  t.true(new PathMatcher(["a"]).prunes("a"));
});

test("bad patterns are refused, and patterns of strangers take no time", (t) => {
  t.throws(() => new PathMatcher(["[a"]), { instanceOf: BuildError });
  t.throws(() => new PathMatcher(["[b-a]"]), { instanceOf: BuildError });
  t.false(new Glob(`${"*a".repeat(500)}b`).matches("a".repeat(4000)));
  t.false(new Glob(`${"**/a/".repeat(300)}b`).matches("a/".repeat(1500)));
});

test("a pattern without special characters is a path itself", (t) => {
  const name = fc.string({ unit: fc.constantFrom(..."abc.-_ "), minLength: 1, maxLength: 8 });
  fc.assert(fc.property(name, name, (a, b) => new Glob(a).matches(b) === (a === b)));
  t.pass();
});
