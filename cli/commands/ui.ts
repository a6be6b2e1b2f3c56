import { spawn } from "node:child_process";
import { request } from "node:http";
import { daemonPid, socketPathOf } from "../../daemon/daemon.ts";
import { openDirectories } from "../context.ts";
import type { UI_OPTIONS } from "../engine-options.ts";
import { CliError, EXIT } from "../errors.ts";
import type { Values } from "../option.ts";

const OPENERS: Partial<Record<NodeJS.Platform, string>> = { darwin: "open", linux: "xdg-open" };

/** Opens the dashboard, which the running daemon serves, in the user's browser. */
export async function main(values: Values<typeof UI_OPTIONS>): Promise<number> {
  const directories = openDirectories();
  const socketPath = values.socket ?? socketPathOf(directories);
  if (values.socket === undefined && daemonPid(directories) === undefined) {
    throw new CliError("NO_DAEMON", "The dashboard is served by the daemon, which does not run", {
      hint: 'Start it with "ddcli daemon start"',
    });
  }
  const { Url } = await askForLink(socketPath);
  process.stdout.write(`${Url}\n`);
  const opener = OPENERS[process.platform];
  if (values["no-open"] || !process.stdout.isTTY || opener === undefined) return EXIT.ok;
  const browser = spawn(opener, [Url], { detached: true, stdio: "ignore" });
  browser.on("error", () => {
    process.stderr.write("No browser could be started; open the link above\n");
  });
  browser.unref();
  return EXIT.ok;
}

function askForLink(socketPath: string): Promise<{ readonly Url: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path: "/dashboard", method: "POST" }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => {
        if (response.statusCode === 200) resolve(JSON.parse(text) as { Url: string });
        else reject(new CliError("NO_DASHBOARD", `The daemon serves no dashboard: ${text.trim()}`));
      });
    });
    call.on("error", (error) =>
      reject(new CliError("NO_DAEMON", `The daemon does not answer: ${error.message}`)),
    );
    call.end();
  });
}
