import { runInBackground } from "./background.ts";
import { loadSentry } from "./compose.ts";

runInBackground(process.argv[2] ?? "", loadSentry);
