import type { ContainerState } from "../../sentry/container/record.ts";

/** Docker's words for a container's state. */
export type StatusWord =
  | "created"
  | "running"
  | "paused"
  | "restarting"
  | "removing"
  | "exited"
  | "dead";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
const MONTH = 30 * DAY;
const YEAR = 365 * DAY;

/** A duration as docker tells it to people; see go-units' HumanDuration. */
export function humanDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < MINUTE) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / MINUTE);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(seconds / HOUR + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (seconds < 2 * WEEK) return `${Math.floor(seconds / DAY)} days`;
  if (seconds < 2 * MONTH) return `${Math.floor(seconds / WEEK)} weeks`;
  if (seconds < 2 * YEAR) return `${Math.floor(seconds / MONTH)} months`;
  return `${Math.floor(seconds / YEAR)} years`;
}

export function statusWord(state: ContainerState, restarting: boolean): StatusWord {
  if (restarting) return "restarting";
  // It never ran: docker leaves such a container in "created".
  if (state.status === "exited" && state.startedAt === 0) return "created";
  return state.status === "running" && state.paused === true ? "paused" : state.status;
}

/** The status as `docker ps` shows it. */
export function statusText(state: ContainerState, restarting: boolean, health: string): string {
  const now = Date.now();
  switch (state.status) {
    case "created":
      return "Created";
    case "running": {
      const up = `Up ${humanDuration(now - state.startedAt)}`;
      if (state.paused === true) return `${up} (Paused)`;
      if (health === "") return up;
      return `${up} (${health === "starting" ? "health: starting" : health})`;
    }
    case "exited": {
      // It never ran: docker leaves such a container in "created".
      if (state.startedAt === 0) return "Created";
      const ago = `(${state.exitCode}) ${humanDuration(now - state.finishedAt)} ago`;
      return restarting ? `Restarting ${ago}` : `Exited ${ago}`;
    }
  }
}

/** RFC 3339 with nanoseconds, as Go writes times; 0 is Go's zero time. */
export function goTime(ms: number): string {
  if (ms === 0) return "0001-01-01T00:00:00Z";
  const [whole = "", fraction = ""] = new Date(ms).toISOString().replace("Z", "").split(".");
  return `${whole}.${fraction.padEnd(9, "0")}Z`;
}
