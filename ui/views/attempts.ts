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
  readonly time: string;
  readonly allowed: boolean;
  readonly protocol: string;
  readonly destination: string;
  readonly rule: string;
}

/** What the container tried to reach beyond itself, as it tries, and what became of it. */
export function showAttempts(place: HTMLElement, container: Inspection): End {
  const attempts: Attempt[] = [];
  const empty = "It has not tried to reach anything";
  const table = new Table<Attempt>("Network attempts", empty, ({ time }) => time, [
    { title: "When", cell: ({ time }) => new Date(time).toLocaleTimeString() },
    { title: "What became of it", cell: ({ allowed }) => badge(allowed ? "allowed" : "denied") },
    { title: "Protocol", cell: ({ protocol }) => plain(protocol) },
    { title: "Destination", cell: ({ destination }) => plain(destination) },
    { title: "Because of", cell: ({ rule }) => plain(rule) },
  ]);
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
