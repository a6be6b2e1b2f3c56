import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { readRows } from "../../../tools/arm64.ts";
import { EFFORT, runNativeTest } from "../../fixtures/native-test.ts";

/** Encodings of each row that are looked at. */
const SAMPLES = 256 * EFFORT;
const OUTPUT_BYTES_MAX = 1 << 30;
const OBJDUMP = "aarch64-linux-gnu-objdump";

/** SME and SVE, which are not covered, have the encodings with these values of bits 28..25. */
const SCALABLE = [0, 2];

/** What objdump takes for an instruction and the table does not, by objdump's text: why. */
const NOT_COVERED: readonly (readonly [RegExp, string])[] = [
  [/^(msr|mrs|sysl?)\t/, "registers and operations that user mode has not"],
  [/^(hvc|smc|hlt|dcps\d|drps|eret)\b/, "not for user mode"],
  [/^(ldrs?[bhw]?|ldp|ldpsw)\t.*(\[\w+\],|!$)/, "unpredictable: the base would be written twice"],
  [/^fml[as]l2?\t/, "a size that the manual has not: objdump does not look at it"],
  [/^bf/, "BF16, of a later architecture"],
  [/^(us|su)dot|^(us|s|u)mmla\t/, "I8MM, of a later architecture"],
  [/^frint(32|64)[xz]\t/, "FRINTTS, of a later architecture"],
  [/^sm[34]/, "SM3, SM4: optional, and no HWCAP says that they are here"],
  [/^(ldra[ab]|pac|aut|blra|bra|reta|xpac)/, "pointer authentication, of a later architecture"],
  [/^(ldg|st2?g|stz2?g|stgp|irg|gmi|subps?|addg|subg)m?\t/, "MTE, of a later architecture"],
  [/^(cpy|set)/, "MOPS, of a later architecture"],
  [/^(ldapur|stlur)/, "LRCPC2, of a later architecture"],
  [/^(ld64b|st64b)/, "LS64, of a later architecture"],
  [/^t(start|commit|cancel|test)\b/, "TME, of a later architecture"],
  [/^bc\./, "HBC, of a later architecture"],
  [/^(cnt|ctz|abs|[us]m(ax|in))\t[wx]/, "CSSC, of a later architecture"],
  [/^(xaflag|axflag)\b/, "FlagM2, of a later architecture"],
];

/** What is an instruction here and not for objdump, by row: why. */
const ONLY_HERE: Readonly<Record<string, string>> = {
  LDAR: "bits that should be one are not looked at, as in other exclusives",
  LDPSW: "unpredictable: both registers are the same one",
};

/** Words that the manual's names of rows stand for in objdump's text. */
function mnemonics(name: string): string[] {
  const plain = name.replaceAll(/\([^)]*\)/g, "").split(",");
  return plain.map((word) =>
    (word.trim().split(" ")[0] as string)
      .toLowerCase()
      .replace(/^(dc|ic)$/, "sys")
      .replace("b.cond", "b."),
  );
}

test("encodings are decoded as objdump decodes them", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "dd-decode-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "words");
  const listing = join(directory, "listing");
  runNativeTest(t, "plain", "translator-decode", [file, listing, SAMPLES, EFFORT]);
  const ours = readFileSync(listing, "latin1").split("\n");
  const { stdout, status, error } = spawnSync(
    OBJDUMP,
    ["-D", "-z", "-b", "binary", "-m", "aarch64", "-M", "no-aliases", file],
    { encoding: "latin1", maxBuffer: OUTPUT_BYTES_MAX },
  );
  t.is(status, 0, `${OBJDUMP} of gcc-aarch64-linux-gnu: ${error?.message}`);
  const theirs = [...stdout.matchAll(/^ *[0-9a-f]+:\t([0-9a-f]{8}) \t(.*)$/gm)];
  const words = readFileSync(file).length / 4;
  t.is(theirs.length, words);

  const rows = new Map(readRows().map((row) => [row.id, mnemonics(row.name)]));
  const wrong = new Map<string, string>();
  for (const [index, [, word = "", text = ""]] of theirs.entries()) {
    if (SCALABLE.includes((Number.parseInt(word, 16) >>> 25) & 15)) continue;
    const id = ours[index] as string;
    const mnemonic = text.split("\t")[0] as string;
    const undefinedThere = text.includes("undefined") || mnemonic === "udf";
    const names = rows.get(id);
    if (names === undefined) {
      const known = undefinedThere || NOT_COVERED.some(([pattern]) => pattern.test(text));
      if (!known) wrong.set(mnemonic, `${word} is not covered: ${text}`);
    } else if (undefinedThere) {
      if (!(id in ONLY_HERE)) wrong.set(id, `${word} is ${id} here and undefined there`);
    } else if (!names.some((name) => mnemonic.startsWith(name))) {
      wrong.set(`${id} ${mnemonic}`, `${word} is ${id} here, there ${text}`);
    }
  }
  t.deepEqual([...wrong.values()], []);
  t.log(`${words} encodings`);
});
