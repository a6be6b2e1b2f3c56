import { runInBackground } from "../sentry/container/background.ts";
import { loadOpenedContainer, loadSentry } from "./compose.ts";
import { openInBackground } from "./open-in-background.ts";

const [kind, id = ""] = process.argv.slice(2);
if (kind === "--files") openInBackground(id, loadOpenedContainer);
else runInBackground(loadSentry);
