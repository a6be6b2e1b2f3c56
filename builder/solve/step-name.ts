import { expand } from "../dockerfile/expand.ts";
import type { Instruction, Run } from "../dockerfile/instruction.ts";
import { csvFields } from "../dockerfile/mount-flag.ts";
import type { StageState } from "./stage-state.ts";

/** In place of a secret that is a variable: its value is never looked at for a name. */
const HIDDEN = "****";

/** An instruction as its step is called: in capitals, with the variables replaced that the stage knows. */
export function stepName(
  state: StageState,
  instruction: Instruction,
  escapeToken: "\\" | "`",
): string {
  const variables = new Map(state.variables);
  if (instruction.kind === "RUN") {
    for (const name of secretVariables(instruction)) variables.set(name, HIDDEN);
  }
  const text = instruction.original.replace(/^\S+/, instruction.kind);
  try {
    return expand(text, variables, { escapeToken, keepUnset: true, rawQuotes: true });
  } catch {
    return text; // a command has a language of its own, which may look like a bad expansion
  }
}

function secretVariables({ mounts }: Run): readonly string[] {
  return mounts.flatMap((mount) => {
    const fields = csvFields(mount);
    if (!fields.some((field) => /^type=secret$/i.test(field))) return [];
    return fields.flatMap((field) => (/^env=/i.test(field) ? [field.slice("env=".length)] : []));
  });
}
