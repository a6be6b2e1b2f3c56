import { element, fill } from "../dom.ts";
import { part } from "../engine.ts";
import { plain } from "../format.ts";
import { type End, pour } from "../live.ts";
import { type LogLine, logLines } from "../stream.ts";
import type { Inspection } from "./container.ts";

/** Lines kept and shown. */
const LINES_MAX = 5000;
const TAIL = 1000;

/** The log as it grows. A search leaves the lines that have the words, and marks them. */
export function showLog(place: HTMLElement, container: Inspection): End {
  const lines: LogLine[] = [];
  let wanted = "";
  const log = element("div", { class: "log", tabindex: 0, "aria-label": "Log" });
  const count = element("span", { role: "status" });
  const matches = ({ text }: LogLine) => text.toLowerCase().includes(wanted);
  const tellCount = () => {
    const found = wanted === "" ? lines.length : lines.filter(matches).length;
    count.textContent = `${found} lines`;
  };
  const search = element("input", {
    type: "search",
    placeholder: "Search (/)",
    "aria-label": "Search the log",
    oninput: () => {
      wanted = search.value.toLowerCase();
      fill(log, ...lines.filter(matches).map((line) => lineElement(line, wanted)));
      tellCount();
    },
  });
  place.append(element("div", { class: "bar" }, search, count), log);
  return pour(
    (signal) =>
      logLines(
        `/containers/${part(container.Id)}/logs`,
        { query: { stdout: true, stderr: true, follow: true, tail: TAIL }, signal },
        container.Config.Tty,
      ),
    ({ stream, text }) => {
      const line = { stream, text: plain(text) };
      lines.push(line);
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      if (matches(line)) log.appendChild(lineElement(line, wanted));
      if (lines.length > LINES_MAX && lines.shift() !== undefined && wanted === "") {
        log.firstChild?.remove();
      }
      if (atEnd) log.scrollTop = log.scrollHeight;
      tellCount();
    },
  );
}

function lineElement({ stream, text }: LogLine, wanted: string): HTMLElement {
  const at = wanted === "" ? -1 : text.toLowerCase().indexOf(wanted);
  if (at < 0) return element("div", { class: stream }, text);
  const end = at + wanted.length;
  return element(
    "div",
    { class: stream },
    text.slice(0, at),
    element("mark", {}, text.slice(at, end)),
    text.slice(end),
  );
}
