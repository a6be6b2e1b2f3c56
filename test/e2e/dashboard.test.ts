/** The dashboard in a real browser: Debian's Chromium, driven by what a user would do. */
import { request } from "node:http";
import test, { type ExecutionContext } from "ava";
import { type Browser, chromium, type Page } from "playwright-core";
import { openDd } from "../fixtures/dd.ts";
import { image } from "../fixtures/images.ts";

const CHROMIUM = process.env["DD_TEST_CHROMIUM"] ?? "/usr/bin/chromium";
/** It is to reach nothing but the page. */
const BROWSER_OPTIONS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const WAIT_MS = 120_000;

const dd = openDd();
let browser: Browser;

test.before(async (t) => {
  t.timeout(4 * WAIT_MS);
  await dd.load(image("busybox"));
  const started = await dd.run(["daemon", "start"]);
  t.is(started.code, 0, started.stderr);
  const talk = "while :; do echo a needle in hay; echo 'other <b>words</b>'; sleep 1; done";
  const ran = await dd.run(["run", "-d", "--name", "talker", "busybox:test", "sh", "-c", talk]);
  t.is(ran.code, 0, ran.stderr);
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: BROWSER_OPTIONS,
    timeout: WAIT_MS,
  });
});

test.after.always(async () => {
  await browser?.close();
  await dd.run(["rm", "-f", "talker"]);
  await dd.run(["daemon", "stop"]);
  await dd.close();
});

async function link(t: ExecutionContext): Promise<string> {
  const { stdout, stderr, code } = await dd.run(["ui", "--no-open"]);
  t.is(code, 0, stderr);
  return stdout.trim();
}

/** A page that is signed in, and what went wrong in it. */
async function open(t: ExecutionContext, scheme: "light" | "dark" = "light") {
  const context = await browser.newContext({ colorScheme: scheme });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  await page.goto(await link(t));
  await page.getByRole("link", { name: "talker" }).waitFor();
  return { context, page, faults };
}

const tab = (page: Page, name: string) => page.getByRole("tab", { name, exact: true });

test.serial("a link signs in once, and leaves no code behind", async (t) => {
  t.timeout(3 * WAIT_MS);
  const url = await link(t);
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  await page.goto(url);
  await page.getByRole("link", { name: "talker" }).waitFor();
  t.false(page.url().includes("code"));
  const another = await browser.newContext();
  const stranger = await another.newPage();
  stranger.setDefaultTimeout(WAIT_MS);
  await stranger.goto(url);
  await stranger.getByText("This page is not signed in").waitFor();
  t.is(await stranger.getByRole("link", { name: "talker" }).count(), 0);
  await context.close();
  await another.close();
});

test.serial("containers are listed with their mode, and a log can be searched", async (t) => {
  t.timeout(3 * WAIT_MS);
  const { context, page, faults } = await open(t);
  const row = page.getByRole("row").filter({ hasText: "talker" });
  await row.getByText("trusted", { exact: true }).waitFor();
  await row.getByText("running", { exact: true }).waitFor();
  await row.getByRole("link", { name: "talker" }).click();
  await tab(page, "Logs").click();
  await page.locator(".log div", { hasText: "needle" }).first().waitFor();
  await page.getByLabel("Search the log").fill("needle");
  await page.locator(".log mark").first().waitFor();
  t.is(await page.locator(".log div", { hasText: "words" }).count(), 0);
  await page.getByLabel("Search the log").fill("<b>words");
  await page.locator(".log mark", { hasText: "<b>words" }).first().waitFor();
  t.is(await page.locator(".log b").count(), 0, "what a program prints became markup");
  t.deepEqual(faults, []);
  await context.close();
});

test.serial("a terminal runs a shell in the container", async (t) => {
  t.timeout(3 * WAIT_MS);
  const { context, page, faults } = await open(t);
  await page.getByRole("link", { name: "talker" }).click();
  await tab(page, "Terminal").click();
  await page.locator(".xterm-rows", { hasText: "/ #" }).waitFor();
  await page.keyboard.type("echo from-$((6 * 7))\n");
  await page.locator(".xterm-rows", { hasText: "from-42" }).waitFor();
  t.deepEqual(faults, []);
  await context.close();
});

test.serial("keys lead everywhere, and the dark scheme is dark", async (t) => {
  t.timeout(3 * WAIT_MS);
  const { context, page, faults } = await open(t, "dark");
  await page.keyboard.press("g");
  await page.keyboard.press("i");
  await page.getByRole("table", { name: "Images" }).getByText("busybox:test").waitFor();
  const back = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
  const brightness = (back.match(/\d+/g) ?? ["255"]).slice(0, 3).map(Number);
  t.true(
    brightness.every((value) => value < 80),
    back,
  );
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.getByRole("link", { name: "talker" }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("no such container");
  await page.getByText("There are no containers").waitFor();
  t.deepEqual(faults, []);
  await context.close();
});

test.serial("other pages, other names of the host and strangers are refused", async (t) => {
  const { origin, port, hostname } = new URL(await link(t));
  const ask = (headers: Record<string, string>, path = "/containers/json") =>
    new Promise<{ status: number; headers: NodeJS.Dict<string | string[]> }>((resolve, reject) => {
      const call = request({ hostname, port, path, headers }, (response) => {
        response.resume();
        resolve({ status: response.statusCode ?? 0, headers: response.headers });
      });
      call.on("error", reject);
      call.end();
    });
  t.is((await ask({})).status, 401);
  t.is((await ask({ host: `attacker.example:${port}` })).status, 403);
  t.is((await ask({ host: `attacker.example:${port}` }, "/")).status, 403);
  t.is((await ask({ origin: "http://127.0.0.1:1" })).status, 403);
  t.is((await ask({ "sec-fetch-site": "same-site" })).status, 403);
  t.is((await ask({ origin, cookie: `dd-dashboard-${port}=0000` })).status, 401);
  const page = await ask({}, "/");
  t.is(page.status, 200);
  const policy = String(page.headers["content-security-policy"]);
  t.regex(policy, /default-src 'none'/);
  t.notRegex(policy, /unsafe/);
  t.is(page.headers["x-frame-options"], "DENY");
});
