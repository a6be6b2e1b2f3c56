/** The background program beside ddcli-on-host.ts. */
import { runInBackground } from "../../sentry/container/background.ts";
import { FakeSentry } from "../sentry/container/fake-sentry.ts";

runInBackground(async () => FakeSentry);
