/** The rules every file of the tree obeys, whatever its language. test/tools/tidy.test.ts runs them. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";

/** A file under version control, or about to be. */
export interface TreeFile {
  /** From the root of the tree, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** A rule looks at the whole tree and answers one sentence for each offence. */
export interface Rule {
  /** The rule as a sentence. */
  readonly name: string;
  readonly check: (files: readonly TreeFile[]) => string[];
}

const LINES_MAX = 600;
const COLUMNS_MAX = 100;
const README_LINES_MAX = 60;

const SOURCE = /\.(ts|js|mjs|cc|c|h|sh|fbs|S)$/;
const generated = (file: TreeFile) => /^.{0,20}Generated (from|by)/im.test(file.text.slice(0, 300));
const sources = (files: readonly TreeFile[]) =>
  files.filter((file) => SOURCE.test(file.path) && !generated(file));

/** Words that must not stay in the tree, each with what is wrong with it. Two files quote them. */
const BANNED: readonly (readonly [RegExp, string])[] = [
  [/\bFIXME\b|\bXXX\b/, "is a note to oneself: fix it, or state the limit"],
  [/\bTODO\b(?!\([^)]{8,}\): )/, "needs its reason: `TODO(why it waits): what`"],
  [/\btest\.(only|skip)\b/, "hides tests: list a known failure instead"],
  [/@ts-(ignore|nocheck|expect-error)\b/, "silences the compiler"],
  [/\bbiome-ignore(?! [\w/]+: .{10})/, "silences the linter without a reason"],
  [/(?:\bas any|: any)(?=\s*[;,)\]>=|&])/, "switches the type system off"],
  [/(?<![\w.])debugger;/, "is left from debugging"],
  [/^(<{7}|>{7})( |$)/, "is left from a merge"],
  [/\/(work|root|home\/\w+)\/(wt|main|shared|\.npm|\.cache|\.pyenv)\b/, "is a path of one machine"],
];
const QUOTES_BANNED_WORDS = ["tools/tidy.ts", "tools/tap.ts", "test/tools/tidy.test.ts"];

/** Rows of shell, perl and python programs as data: breaking their lines would change the programs. */
const QUOTES_PROGRAMS = /^test\/(e2e\/(program-rows|terminal\.test)\.ts$|arm64\/programs\/)/;

const VAGUE_NAME =
  /^(utils?|helpers?|manager|misc|common|stuff)[.-]|[-_](utils?|helpers?|manager)\./;

/** Rooms: whoever has their own walls (a tsconfig), and what the sentry and the guest are divided into. */
const ROOM = /^(ring|guest|profiles|api|daemon|cli|tools|test|bench|sentry(\/[a-z-]+)?)\//;

const lines = (text: string) => text.replace(/\n$/, "").split("\n");

export const RULES: readonly Rule[] = [
  {
    name: `no source file has more than ${LINES_MAX} lines`,
    check: (files) =>
      sources(files)
        .filter((file) => lines(file.text).length > LINES_MAX)
        .map((file) => `${file.path} has ${lines(file.text).length} lines`),
  },
  {
    name: `no source line is wider than ${COLUMNS_MAX} columns`,
    check: (files) =>
      sources(files)
        .filter((file) => !QUOTES_PROGRAMS.test(file.path))
        .flatMap((file) =>
          lines(file.text).flatMap((line, index) =>
            // A line without blanks (an address, a digest) cannot be broken.
            [...line].length > COLUMNS_MAX + COMMENT_SLACK && line.trim().includes(" ")
              ? [`${file.path}:${index + 1} has ${[...line].length} columns`]
              : [],
          ),
        ),
  },
  {
    name: "no banned word is in the tree",
    check: (files) =>
      files
        .filter((file) => !QUOTES_BANNED_WORDS.includes(file.path) && !generated(file))
        .filter((file) => SOURCE.test(file.path) || file.path.endsWith(".md"))
        .flatMap((file) =>
          lines(file.text).flatMap((line, index) =>
            BANNED.flatMap(([word, why]) => {
              const match = word.exec(line);
              return match === null ? [] : [`${file.path}:${index + 1}: "${match[0]}" ${why}`];
            }),
          ),
        ),
  },
  {
    name: "file names say what is inside, in the case of their language",
    check: (files) =>
      sources(files).flatMap(({ path }) => {
        const name = basename(path);
        if (VAGUE_NAME.test(name)) return [`${path}: this name says nothing`];
        if (/\.(ts|js)$/.test(name) && !/^[a-z0-9]+([.-][a-z0-9]+)*\.(ts|js)$/.test(name)) {
          return [`${path}: TypeScript files are kebab-case`];
        }
        return /\.(cc|h|c)$/.test(name) && !/^[a-z0-9_]+\.(cc|h|c)$/.test(name)
          ? [`${path}: C++ files are snake_case`]
          : [];
      }),
  },
  {
    name: "every text file ends with one newline and has no blanks at line ends",
    check: (files) =>
      files.flatMap((file) => {
        if (file.path.startsWith("test/golden/") || file.text === "") return [];
        if (!file.text.endsWith("\n") || file.text.endsWith("\n\n")) {
          return [`${file.path} does not end with one newline`];
        }
        return SOURCE.test(file.path) && /[ \t]$/m.test(file.text)
          ? [`${file.path} has blanks at a line's end`]
          : [];
      }),
  },
  {
    name: `every room has a README.md of at most ${README_LINES_MAX} lines`,
    check: (files) => {
      const rooms = new Set<string>();
      for (const { path } of files) {
        const room = ROOM.exec(path)?.[0].slice(0, -1);
        if (room !== undefined && SOURCE.test(path)) rooms.add(room);
      }
      return [...rooms].sort().flatMap((room) => {
        const readme = files.find((file) => file.path === `${room}/README.md`);
        if (readme === undefined) return [`${room} has no README.md`];
        const count = lines(readme.text).length;
        return count > README_LINES_MAX ? [`${room}/README.md has ${count} lines`] : [];
      });
    },
  },
  {
    name: "every TypeScript file of the product is imported by another",
    check: (files) => {
      const used = new Set<string>();
      for (const file of files) {
        if (!/\.(ts|js)$/.test(file.path)) continue;
        for (const match of file.text.matchAll(/["'](\.{1,2}\/[^"'\n]+)\.(?:ts|js)["']/g)) {
          used.add(`${posix.join(dirname(file.path), match[1] as string)}.ts`);
        }
      }
      return files
        .filter(({ path }) => /^(ring|sentry|profiles|api|cli)\/.*\.ts$/.test(path))
        .filter(({ path }) => !used.has(path) && !ENTRY.test(path))
        .map(({ path }) => `${path} is imported by nothing`);
    },
  },
];

/** Comments may run a little over, as ours do where a word would stand alone. */
const COMMENT_SLACK = 20;
/** Files that a command starts. */
const ENTRY = /(^|[/-])main\.ts$/;

/** All files of the tree that git tracks or would track. Binary files are left out. */
export function readTree(): TreeFile[] {
  const root = fileURLToPath(new URL("../../../", import.meta.url));
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  return listed
    .split("\n")
    .filter((path) => path !== "" && existsSync(join(root, path)))
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }))
    .filter((file) => !file.text.includes("\0"));
}
