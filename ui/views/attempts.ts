import { badge, element } from "../dom.ts";
import { part } from "../engine.ts";
import { plain } from "../format.ts";
import { type End, pour } from "../live.ts";
import { jsonLines } from "../stream.ts";
import { Table } from "../table.ts";
import type { Inspection } from "./container.ts";

const KEPT_MAX = 500;

/** One thing that a container tried to reach. */
interface Attempt {
  /** Milliseconds since the epoch. */
  readonly Time: number;
  readonly Protocol: string;
  readonly Host: string;
  readonly Port: number;
  readonly Names: readonly string[];
  readonly Allowed: boolean;
  readonly Rule: string;
}

/** What the container tried to reach beyond itself, as it tries, and what became of it. */
export function showAttempts(place: HTMLElement, container: Inspection): End {
  const attempts: Attempt[] = [];
  const empty = "It has not tried to reach anything";
  const table = new Table<Attempt>(
    "Network attempts",
    empty,
    ({ Time, Host }) => `${Time} ${Host}`,
    [
      { title: "When", cell: ({ Time }) => new Date(Time).toLocaleTimeString() },
      { title: "What became of it", cell: ({ Allowed }) => badge(Allowed ? "allowed" : "denied") },
      { title: "Protocol", cell: ({ Protocol }) => Protocol },
      { title: "Destination", cell: ({ Host, Port }) => plain(`${Host}:${Port}`) },
      { title: "Names", cell: ({ Names }) => plain(Names.join(", ")) },
      { title: "Because of", cell: ({ Rule }) => plain(Rule) },
    ],
  );
  table.show([]);
  place.append(element("div", {}, table.root));
  return pour<Attempt>(
    (signal) =>
      jsonLines(`/containers/${part(container.Id)}/egress`, { query: { follow: true }, signal }),
    (attempt) => {
      attempts.unshift(attempt);
      attempts.length = Math.min(attempts.length, KEPT_MAX);
      table.show(attempts);
    },
  );
}
