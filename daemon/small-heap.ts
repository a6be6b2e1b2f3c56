/**
 * For the first import of the daemon's program. V8's room for new objects grows with the work, by loading the
 * daemon already and up to 32 MiB, and stays so: more than all that the daemon ever holds.
 */
import { setFlagsFromString } from "node:v8";

setFlagsFromString("--semi-space-growth-factor=1");
