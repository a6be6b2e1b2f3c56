import type { SentryConstructor } from "../sentry/spec.ts";
import type { CommandRow } from "./command.ts";

/** What commands are handed by whoever composes the program; tests compose another one. */
export interface Services {
  /** Every command, for those whose subject it is. */
  readonly commands: readonly CommandRow[];
  /** The sentry, loaded only by who runs a container. */
  loadSentry(): Promise<SentryConstructor>;
  /** Path of the program that runs a container in the background; see sentry/container/background.ts. */
  readonly backgroundProgram: string;
  /** Path of the program of a build step's container; see builder/step. */
  readonly buildStepProgram: string;
  /** The directory of the dashboard's page. */
  readonly pageDirectory: string;
}
