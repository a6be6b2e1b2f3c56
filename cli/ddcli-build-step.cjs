// The program of a build step's container, started by the builder; see builder/step.
require("./load.cjs").load("container", "build-step-main");
