import { describe } from "./linux/seccomp.ts";
import type { Barrier, CallPattern, Operation, Profile, Rule } from "./model.ts";

/**
 * A profile as Markdown, for SECURITY.md: what is allowed and why, and what is taken away and why. Made
 * from the very objects that the filters are made from.
 */
export function explainProfile(profile: Profile): string {
  const calls = profile.rules.filter((rule) => rule.calls !== undefined);
  const operations = profile.rules.filter((rule) => rule.operations !== undefined);
  const paths = profile.rules.filter((rule) => rule.paths !== undefined);
  return [
    table(
      "Host system calls allowed (Linux)",
      ["Call", "Arguments", "Why"],
      calls.flatMap(callRows),
    ),
    table("Paths (both)", ["Paths", "Access", "Why"], paths.flatMap(pathRows)),
    table(
      "Operations allowed (macOS)",
      ["Operation", "On", "Why"],
      operations.flatMap(operationRows),
    ),
    table("Taken away (Linux)", ["What", "Why"], profile.barriers.map(barrierRow)),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

type Row = readonly string[];

function table(title: string, heads: Row, rows: readonly Row[]): string {
  if (rows.length === 0) return "";
  const line = (cells: Row): string => `| ${cells.map(escapeCell).join(" | ")} |\n`;
  const rule = `| ${heads.map(() => "---").join(" | ")} |\n`;
  return `### ${title}\n\n${line(heads)}${rule}${rows.map(line).join("")}`;
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function callRows(rule: Rule): Row[] {
  return (rule.calls ?? []).map((pattern) => [
    `\`${pattern.call}\``,
    argumentsText(pattern),
    rule.why,
  ]);
}

function argumentsText({ when }: CallPattern): string {
  return when.length === 0 ? "any" : when.map(describe).join("; ");
}

function pathRows(rule: Rule): Row[] {
  return (rule.paths ?? []).map(({ parameter, access }) => [
    parameter,
    access.join(", "),
    rule.why,
  ]);
}

function operationRows(rule: Rule): Row[] {
  return (rule.operations ?? []).map((operation) => [
    `\`${operation.name}\``,
    filterText(operation),
    rule.why,
  ]);
}

function filterText({ filter }: Operation): string {
  if (filter === undefined) return "everything";
  const [name, ...values] = filter;
  return [name, ...values.map((value) => ("symbol" in value ? value.symbol : value.text))].join(
    " ",
  );
}

function barrierRow(barrier: Barrier): Row {
  return [barrierText(barrier), barrier.why];
}

function barrierText(barrier: Barrier): string {
  switch (barrier.kind) {
    case "namespace":
      return `the host's ${barrier.namespace} namespace`;
    case "root":
      return "the file tree";
    case "limit":
      return typeof barrier.value === "number"
        ? `\`RLIMIT_${barrier.resource}\`: ${barrier.value}`
        : `\`RLIMIT_${barrier.resource}\`: the container's limit of ${barrier.value}`;
    case "capabilities":
      return barrier.keep.length === 0
        ? "all capabilities"
        : `all capabilities but ${barrier.keep.join(", ")}`;
    case "no-new-privileges":
      return "new privileges";
    case "landlock":
      return `by Landlock (ABI ${barrier.abi}): ${landlockText(barrier)}`;
    case "speculation":
      return `${barrier.control} speculation`;
    case "seccomp":
      return "by seccomp: every other system call";
  }
}

function landlockText(barrier: Barrier & { kind: "landlock" }): string {
  const parts = [
    barrier.filesystem ? "files" : "",
    barrier.network ? "TCP" : "",
    barrier.scoped ? "abstract sockets and signals" : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}
