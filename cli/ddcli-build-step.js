// The program of a build step's container, started by the builder; see builder/step.
import { load } from "./load.js";

await load("build-step-main");
