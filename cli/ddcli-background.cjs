// The program of a container in the background, started by ddcli; see sentry/container/background.ts.
require("./load.cjs").load("container", "background-main");
