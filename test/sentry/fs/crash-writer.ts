/** Run as a program: changes an overlay call by call and says after each how many are done. Meant to be killed. */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { overlay } from "../../../sentry/fs/overlay.ts";
import { HOST_O, openHostPath } from "../../../sentry/host/fs.ts";
import { Guest, ok } from "./fixture.ts";
import { LOWER, lowerOf } from "./lower-fixture.ts";
import { perform, sampleCalls } from "./operations.ts";

const [directory = "", seed = "0"] = process.argv.slice(2);
const dirfd = ok(openHostPath(join(directory, "upper"), HOST_O.PATH | HOST_O.DIRECTORY));
const guest = new Guest(overlay({ lower: lowerOf(LOWER, directory), dirfd }));
let done = 0;
for (const call of sampleCalls(Number(seed))) {
  perform(guest, call);
  writeSync(1, `${++done}\n`);
}
