/** A process that does one thing to a container store and says how it went; for store.test.ts. */
import { randomId } from "../../../sentry/container/names.ts";
import { ContainerStore } from "../../../sentry/container/store.ts";
import { sampleRecord } from "./sample.ts";

const [root = "", run = "", action = "", name = "", times = "1"] = process.argv.slice(2);
const directories = { root, run };
const store = new ContainerStore(directories);

/** Makes a container and keeps it running until killed. */
function runForever(): void {
  const id = randomId();
  const held = store.create(id, name, (free) =>
    sampleRecord(directories, id, free, { autoRemove: times === "rm" }),
  );
  held.setState({ status: "running", pid: process.pid, startedAt: Date.now(), logged: false });
  console.log("running");
  setInterval(() => {}, 1000);
}

function create(): void {
  const id = randomId();
  try {
    store.create(id, name, (free) => sampleRecord(directories, id, free)).release();
    console.log("created");
  } catch (error) {
    console.log((error as { code: string }).code);
  }
}

/** Makes and removes containers of one name as fast as it can: others do the same. */
function churn(): void {
  let made = 0;
  for (let i = 0; i < Number(times); i++) {
    const id = randomId();
    try {
      const held = store.create(id, name, (free) => sampleRecord(directories, id, free));
      made += 1;
      held.remove();
    } catch (error) {
      if ((error as { code?: string }).code !== "NAME_IN_USE") throw error;
    }
    store.list();
  }
  console.log(`made ${made}`);
}

({ runForever, create, churn })[action as "create"]();
