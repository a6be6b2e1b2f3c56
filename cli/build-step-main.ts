import { runStepProgram } from "../builder/step/step-program.ts";
import { loadSentry } from "./compose.ts";

void runStepProgram(loadSentry);
