// The program of a container in the background, started by ddcli; see sentry/container/background.ts.
import { load } from "./load.js";

await load("background-main");
