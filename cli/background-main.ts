import { runInBackground } from "../sentry/container/background.ts";
import { loadSentry } from "./compose.ts";

runInBackground(loadSentry);
