/** The background program beside ddcli-on-host.ts. */
import { runInBackground } from "../../cli/background.ts";
import { FakeSentry } from "../sentry/container/fake-sentry.ts";

runInBackground(process.argv[2] ?? "", async () => FakeSentry);
