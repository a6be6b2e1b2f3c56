import { search } from "../../sentry/image/search.ts";
import { EXIT } from "../errors.ts";
import type { SEARCH_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";
import { type Columns, printRows } from "../output.ts";
import { parseCount } from "../sizes.ts";

const COLUMNS: Columns = [
  ["NAME", "Name"],
  ["DESCRIPTION", "Description"],
  ["STARS", "StarCount"],
  ["OFFICIAL", "IsOfficial"],
];
const LIMIT_MAX = 100;
const DESCRIPTION_WIDTH = 45;

export async function main(
  values: Values<typeof SEARCH_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const { limit } = values;
  const count = limit === undefined ? undefined : parseCount(limit, "--limit", 1, LIMIT_MAX);
  const rows = (await search(operands[0] ?? "", count)).map((found) => {
    const description = found.description.replace(/\s+/g, " ");
    const cut = description.length > DESCRIPTION_WIDTH && !values["no-trunc"];
    return {
      Name: found.name,
      Description: cut ? `${description.slice(0, DESCRIPTION_WIDTH - 1)}…` : description,
      StarCount: String(found.stars),
      IsOfficial: found.official ? "[OK]" : "",
    };
  });
  printRows(rows, COLUMNS, values);
  return EXIT.ok;
}
