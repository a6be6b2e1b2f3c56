/**
 * A web server with redis and PostgreSQL as compose projects have them: health checks, a private network, volumes,
 * a build. What they keep survives a restart and a new project, and goes with its volumes.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { openEngine, type TestEngine } from "../fixtures/engine.ts";
import { image, TREE } from "../fixtures/images.ts";
import { until } from "../fixtures/until.ts";

/** None, or one. */
const plugins = execFileSync(join(TREE, "test/fixtures/compose.sh"), { encoding: "utf8" })
  .split("\n")
  .filter((line) => line !== "");

const PROJECT = `
services:
  cache:
    image: services:test
    command: [redis-server, --bind, 0.0.0.0, --protected-mode, "no", --appendonly, "yes", --dir, /data]
    volumes: [counts:/data]
    networks: [inner]
    healthcheck: {test: [CMD, redis-cli, ping], interval: 500ms, timeout: 30s, retries: 200}
  database:
    image: services:test
    entrypoint: [sh, /entrypoint.sh]
    environment: {POSTGRES_PASSWORD: secret, PGDATA: /var/lib/postgresql/data}
    volumes: [rows:/var/lib/postgresql/data, ./database.sh:/entrypoint.sh:ro]
    networks: [inner]
    shm_size: 128mb
    stop_signal: SIGINT
    healthcheck:
      test: [CMD-SHELL, pg_isready -U postgres -h 127.0.0.1]
      interval: 500ms
      timeout: 30s
      retries: 200
  web:
    build: ./web
    init: true
    environment: {PGHOST: database, PGUSER: postgres, PGPASSWORD: secret, CACHE: cache}
    ports: ["127.0.0.1::80"]
    networks: [inner, outer]
    depends_on: {cache: {condition: service_healthy}, database: {condition: service_healthy}}
networks: {inner: {internal: true}, outer: {}}
volumes: {counts: {}, rows: {}}
`;
/** As the entry points of database images do it: root prepares, another user serves. */
const DATABASE = `set -e
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /run/postgresql
  chown -R postgres:postgres "$PGDATA" /run/postgresql
  chmod 700 "$PGDATA"
  exec su -s /bin/sh postgres -c "exec sh $0"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  echo "$POSTGRES_PASSWORD" >/tmp/password
  initdb -D "$PGDATA" -A scram-sha-256 --pwfile=/tmp/password --no-locale
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
fi
exec postgres -D "$PGDATA" -c listen_addresses='*'
`;
const DOCKERFILE = `FROM services:test
COPY --chmod=755 visit /www/cgi-bin/visit
CMD ["httpd", "-f", "-p", "80", "-h", "/www"]
`;
const VISIT = `#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
count=$(redis-cli -h "$CACHE" incr visits)
psql -qAt 2>&1 <<SQL
set client_min_messages = error;
create table if not exists visits (number int primary key, at timestamptz default now());
insert into visits values ($count);
select '$count of ' || count(*) || ' rows' from visits;
SQL
`;

const host = mkdtempSync(join(tmpdir(), "dd-compose-"));
let engine: TestEngine;

test.before(async (t) => {
  t.timeout(300_000);
  if (plugins.length === 0) return;
  writeFileSync(join(host, "compose.yaml"), PROJECT);
  writeFileSync(join(host, "database.sh"), DATABASE);
  mkdirSync(join(host, "web"));
  writeFileSync(join(host, "web", "Dockerfile"), DOCKERFILE);
  writeFileSync(join(host, "web", "visit"), VISIT);
  const services = image("services");
  engine = await openEngine();
  const directory = join(engine.env["DOCKER_CONFIG"] ?? "", "cli-plugins");
  mkdirSync(directory, { recursive: true });
  for (const plugin of plugins) symlinkSync(plugin, join(directory, "docker-compose"));
  await engine.dd.load(services);
});
test.after.always(async () => {
  await engine?.close();
  rmSync(host, { recursive: true, force: true });
});

/** Runs compose, which must succeed. @returns what it printed. */
async function compose(t: ExecutionContext, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.docker(
    ["compose", "--project-directory", host, "-p", "shop", "--progress", "plain", ...args],
    // Its classic builder: BuildKit's clients are driven in docker-build.test.ts.
    { env: { DOCKER_BUILDKIT: "0" }, timeoutMs: 290_000 },
  );
  t.is(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

async function visit(t: ExecutionContext): Promise<string> {
  const address = (await compose(t, "port", "web", "80")).trim();
  // The web server is started, and may not listen yet; a visit counts, so it is not tried twice.
  const answers = () => fetch(`http://${address}/`).then(({ status }) => status > 0);
  t.true(await until(() => answers().catch(() => false)));
  const reply = await fetch(`http://${address}/cgi-bin/visit`);
  return (await reply.text()).trim();
}

for (const plugin of plugins) {
  test(`${plugin.split("/").at(-2)}'s compose: redis and PostgreSQL keep what a web server tells them`, async (t) => {
    t.timeout(900_000);
    await compose(t, "up", "-d");
    t.is(await visit(t), "1 of 1 rows");
    t.is(await visit(t), "2 of 2 rows");
    const health = await compose(t, "ps", "--format", "{{.Service}} {{.Health}}");
    t.regex(health, /cache healthy/);
    t.regex(health, /database healthy/);
    const users = "ps -o user,comm | grep postgres | cut -d ' ' -f 1 | sort -u";
    t.is(await compose(t, "exec", "-T", "database", "sh", "-c", users), "postgres\n");

    await compose(t, "restart", "database", "cache");
    await compose(t, "up", "-d", "--wait");
    t.is(await visit(t), "3 of 3 rows", "after a restart");

    await compose(t, "down");
    await compose(t, "up", "-d");
    t.is(await visit(t), "4 of 4 rows", "after everything but the volumes was made anew");

    await compose(t, "down", "-v");
    const { stdout } = await engine.docker(["volume", "ls", "-q"]);
    t.is(stdout, "");
  });
}
