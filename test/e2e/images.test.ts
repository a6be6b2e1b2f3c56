import test from "ava";
import { MODES, modeOption, openDd } from "../fixtures/dd.ts";
import { image } from "../fixtures/images.ts";
import { openRegistry } from "../fixtures/registry.ts";
import { until } from "../fixtures/until.ts";
import { caseOf } from "../known.ts";

const TIMEOUT_MS = 5 * 60_000;

/** Each way an image comes in: its command and the reference it has then. */
const WAYS = {
  "pulled from a registry": async (dd: ReturnType<typeof openDd>) => {
    image("busybox");
    const registry = await openRegistry();
    try {
      const reference = `${registry.host}/busybox:test`;
      return { reference, result: await dd.run(["pull", reference]) };
    } finally {
      await registry.close();
    }
  },
  "loaded from a docker archive": async (dd: ReturnType<typeof openDd>) => ({
    reference: "busybox:test",
    result: await dd.run(["load", "-i", image("busybox").dockerArchive]),
  }),
  "imported from a root tar": async (dd: ReturnType<typeof openDd>) => ({
    reference: "imported:now",
    result: await dd.run(["import", image("busybox").rootTar, "imported:now"]),
  }),
};

for (const [name, bring] of Object.entries(WAYS)) {
  const title = `images: busybox ${name} runs`;
  caseOf(title)(title, async (t) => {
    t.timeout(TIMEOUT_MS);
    const dd = openDd();
    t.teardown(() => dd.close());
    const { reference, result } = await bring(dd);
    t.is(result.code, 0, result.stderr);
    for (const mode of MODES) {
      const run = await dd.run([
        "run",
        "--rm",
        ...modeOption(mode),
        reference,
        "/bin/busybox",
        "pwd",
      ]);
      t.deepEqual([run.stdout, run.code], ["/\n", 0], run.stderr);
    }
    t.regex((await dd.run(["images"])).stdout, new RegExp(reference.replace(/:[^:/]*$/, "")));
    t.is((await dd.run(["rmi", reference])).code, 0);
    t.notRegex((await dd.run(["images"])).stdout, new RegExp(reference.replace(/:[^:/]*$/, "")));
  });
}

const LARGE = "images: the large image is pulled from a registry and its python runs in both modes";
caseOf(LARGE, test.serial)(LARGE, async (t) => {
  t.timeout(TIMEOUT_MS);
  image("debian");
  const dd = openDd();
  const registry = await openRegistry();
  t.teardown(async () => {
    await registry.close();
    await dd.close();
  });
  const reference = `${registry.host}/debian:test`;
  const [first, second] = await Promise.all([
    dd.run(["pull", reference], { timeoutMs: TIMEOUT_MS }),
    dd.run(["pull", reference], { timeoutMs: TIMEOUT_MS }),
  ]);
  t.deepEqual([first.code, second.code], [0, 0], first.stderr + second.stderr);
  for (const mode of MODES) {
    const run = await dd.run([
      "run",
      "--rm",
      ...modeOption(mode),
      reference,
      "python3",
      "-c",
      "print(6 * 7)",
    ]);
    t.deepEqual([run.stdout, run.code], ["42\n", 0], run.stderr);
  }
});

const WRONG = "images: an image that is nowhere is a clear error with code 125";
caseOf(WRONG)(WRONG, async (t) => {
  t.timeout(TIMEOUT_MS);
  const dd = openDd();
  const registry = await openRegistry();
  t.teardown(async () => {
    await registry.close();
    await dd.close();
  });
  const run = await dd.run(["run", "--rm", `${registry.host}/no/such:tag`, "true"]);
  t.is(run.code, 125);
  t.regex(run.stderr, /no\/such/);
  t.is((await dd.run(["pull", `${registry.host}/no/such:tag`])).code, 1);
});

for (const mode of MODES) {
  const title = `images: commit keeps what a ${mode} container has changed, and how it is run`;
  caseOf(title)(title, async (t) => {
    t.timeout(TIMEOUT_MS);
    const dd = openDd();
    t.teardown(() => dd.close());
    await dd.load(image("busybox"));
    const script = "echo kept > /kept; rm -r /root; touch /ready; exec sleep 1000";
    const label = ["--label", "k=v", "-e", "V=1", "-w", "/tmp"];
    const background = ["run", "-d", "--name", "source", ...label, ...modeOption(mode)];
    await dd.run([...background, "busybox:test", "sh", "-c", script]);
    const isReady = async () =>
      (await dd.run(["exec", "source", "test", "-e", "/ready"])).code === 0;
    t.true(await until(isReady));
    const change = ["-c", 'CMD ["sh", "-c", "cat /kept; ls /root; pwd; echo $V"]'];
    const made = await dd.run(["commit", ...change, "-m", "why", "source", "committed:1"]);
    t.regex(made.stdout, /^sha256:[0-9a-f]{64}\n$/, made.stderr);
    // It goes on afterwards.
    t.is((await dd.run(["exec", "source", "true"])).code, 0);
    const run = await dd.run(["run", "--rm", ...modeOption(mode), "committed:1"]);
    t.is(run.stdout, "kept\n/tmp\n1\n");
    t.regex(run.stderr, /\/root: No such file/);
    t.regex((await dd.run(["history", "committed:1"])).stdout, /why/);
    const ofHost = await dd.run(["create", "--name", "tools", "host", "true"]);
    t.is(ofHost.code, 0);
    t.regex((await dd.run(["commit", "tools", "x"])).stderr, /image host cannot be committed/);
  });
}
