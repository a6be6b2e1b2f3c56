import { type Platform, parseAnyPlatform } from "../../sentry/image/platform.ts";
import { expand } from "../dockerfile/expand.ts";
import { suggestion } from "../dockerfile/flags.ts";
import type { Instruction, Stage } from "../dockerfile/instruction.ts";
import { csvFields } from "../dockerfile/mount-flag.ts";
import type { Dockerfile } from "../dockerfile/parse.ts";
import { at, BuildError } from "../errors.ts";

/** A stage with its place among the others. */
export interface PlannedStage {
  readonly index: number;
  /** For people: its name, or `stage-N`. */
  readonly label: string;
  readonly stage: Stage;
  /** FROM's image or stage, expanded. */
  readonly baseName: string;
  /** The stage that it stands on. */
  readonly base: PlannedStage | undefined;
  readonly platform: Platform | undefined;
}

/** The stages of a Dockerfile, by name and number. */
export class StageGraph {
  readonly stages: readonly PlannedStage[];

  /** @throws {BuildError} DOCKERFILE_INVALID */
  constructor(file: Dockerfile, variables: ReadonlyMap<string, string>) {
    const stages: PlannedStage[] = [];
    for (const [index, stage] of file.stages.entries()) {
      const { from } = stage;
      const options = { escapeToken: file.escapeToken };
      stages.push(
        at(from.range, () => {
          const baseName = expand(from.base, variables, options);
          if (baseName === "") {
            throw new BuildError(
              "DOCKERFILE_INVALID",
              `base name (${from.base}) should not be blank`,
            );
          }
          const wanted =
            from.platform === undefined ? "" : expand(from.platform, variables, options);
          return {
            index,
            label: from.name ?? `stage-${index}`,
            stage,
            baseName,
            // The last of several stages with a name is the one that is meant.
            base: stages.findLast(({ stage: other }) => other.from.name === baseName.toLowerCase()),
            platform:
              from.platform === undefined
                ? undefined
                : platformOf(from.platform, wanted, [...variables.keys()]),
          };
        }),
      );
    }
    this.stages = stages;
  }

  /**
   * The stage to build.
   * @throws {BuildError} BUILD_NOT_FOUND
   */
  target(name: string | undefined): PlannedStage {
    const found =
      name === undefined || name === "" ? this.stages.at(-1) : this.named(name, this.stages.length);
    if (found !== undefined) return found;
    const names = this.stages.flatMap(({ stage }) => stage.from.name ?? []);
    const near = suggestion(name ?? "", names);
    const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
    throw new BuildError(
      "BUILD_NOT_FOUND",
      `target stage ${JSON.stringify(name)} could not be found${hint}`,
    );
  }

  /** The stage of that name, or number, among the first `count`. */
  named(name: string, count: number): PlannedStage | undefined {
    const before = this.stages.slice(0, count);
    const byName = before.findLast(({ stage }) => stage.from.name === name.toLowerCase());
    return byName ?? (/^[0-9]{1,5}$/.test(name) ? before[Number(name)] : undefined);
  }

  /** The stages that the target needs, itself included, in their order. */
  needed(target: PlannedStage): readonly PlannedStage[] {
    const found = new Set<PlannedStage>();
    const visit = (stage: PlannedStage): void => {
      if (found.has(stage)) return;
      found.add(stage);
      if (stage.base !== undefined) visit(stage.base);
      for (const instruction of stage.stage.instructions) {
        for (const name of namesOf(instruction)) {
          const other = this.named(name, stage.index);
          if (other !== undefined) visit(other);
        }
      }
    };
    visit(target);
    return this.stages.filter((stage) => found.has(stage));
  }
}

/** @throws {BuildError} DOCKERFILE_INVALID with a guess at what was meant */
function platformOf(written: string, text: string, known: readonly string[]): Platform {
  const [, name = ""] = /\$\{?(\w+)/.exec(written) ?? [];
  const near = name === "" || known.includes(name) ? undefined : suggestion(name, known);
  const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
  if (text === "") {
    const message = `empty platform value from expression ${written}${hint}`;
    throw new BuildError("DOCKERFILE_INVALID", message);
  }
  try {
    return parseAnyPlatform(text);
  } catch (error) {
    const message = `failed to parse platform ${written}: ${(error as Error).message}${hint}`;
    throw new BuildError("DOCKERFILE_INVALID", message);
  }
}

/** What an instruction takes files from by name. */
export function namesOf(instruction: Instruction): readonly string[] {
  if (instruction.kind === "COPY") return instruction.from === undefined ? [] : [instruction.from];
  if (instruction.kind !== "RUN") return [];
  return instruction.mounts.flatMap((mount) =>
    csvFields(mount).flatMap((field) => (/^from=/i.test(field) ? [field.slice(5)] : [])),
  );
}
