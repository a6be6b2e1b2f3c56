import type { Engine } from "./engine.ts";
import { openapiRow } from "./openapi.ts";
import { absentRows } from "./routes/absent.ts";
import { authRows } from "./routes/auth.ts";
import { buildRows } from "./routes/build.ts";
import { commitRows } from "./routes/commit.ts";
import { containerFileRows } from "./routes/container-files.ts";
import { containerRows } from "./routes/containers.ts";
import { dashboardRows } from "./routes/dashboard.ts";
import { distributionRows } from "./routes/distribution.ts";
import { execRows } from "./routes/execs.ts";
import { imageRows } from "./routes/images.ts";
import { networkRows } from "./routes/networks.ts";
import { systemRows } from "./routes/system.ts";
import { volumeRows } from "./routes/volumes.ts";
import type { Row } from "./row.ts";

/** Every route there is. One file per resource; to add a resource, add its rows here. */
export function allRows(engine: Engine): readonly Row[] {
  const rows = [
    ...systemRows(engine.system),
    ...containerRows(engine.containers),
    ...execRows(engine.execs),
    ...imageRows(engine.images),
    ...distributionRows(engine.images),
    ...authRows(engine.images),
    ...dashboardRows(engine.dashboard, engine.execs),
    ...containerFileRows(engine.files),
    ...commitRows(engine.commit),
    ...buildRows(engine.builds),
    ...absentRows(),
    ...networkRows(engine.networks),
    ...volumeRows(engine.volumes),
  ];
  return [...rows, openapiRow(rows)];
}
