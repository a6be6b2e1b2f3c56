/** Requests to the engine. Paths are the Engine API's. */

export type Json = Readonly<Record<string, unknown>>;

export class EngineError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function refusal(response: Response): Promise<EngineError> {
  const text = await response.text();
  try {
    const { message } = JSON.parse(text) as { message?: string };
    return new EngineError(response.status, message ?? text);
  } catch {
    return new EngineError(response.status, text || response.statusText);
  }
}

export interface Choice {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** The answer itself. @throws {EngineError} when it is a refusal. */
export async function request(path: string, choice: Choice = {}): Promise<Response> {
  const query = new URLSearchParams(
    Object.entries(choice.query ?? {}).map(([name, value]) => [name, String(value)]),
  );
  const { body } = choice;
  const raw = body instanceof Uint8Array;
  const response = await fetch(query.size > 0 ? `${path}?${query}` : path, {
    method: choice.method ?? "GET",
    ...(choice.signal === undefined ? {} : { signal: choice.signal }),
    ...(body === undefined
      ? {}
      : {
          body: raw ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body),
          headers: { "Content-Type": raw ? "application/x-tar" : "application/json" },
        }),
  });
  if (!response.ok) throw await refusal(response);
  return response;
}

export async function get<T>(path: string, query: Choice["query"] = {}): Promise<T> {
  return (await request(path, { query })).json() as Promise<T>;
}

export async function post<T>(
  path: string,
  body?: unknown,
  query: Choice["query"] = {},
): Promise<T | undefined> {
  const response = await request(path, { method: "POST", body, query });
  const text = await response.text();
  return text === "" ? undefined : (JSON.parse(text) as T);
}

export async function remove(path: string, query: Choice["query"] = {}): Promise<void> {
  await request(path, { method: "DELETE", query });
}

/** A part of a path. */
export const part = encodeURIComponent;

export interface ContainerSummary {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Image: string;
  readonly Command: string;
  readonly Created: number;
  readonly State: string;
  readonly Status: string;
  readonly Ports: readonly {
    IP?: string;
    PrivatePort: number;
    PublicPort?: number;
    Type: string;
  }[];
  readonly Labels: Readonly<Record<string, string>>;
}

export const nameOf = (container: ContainerSummary): string =>
  container.Names[0]?.replace(/^\//, "") ?? container.Id;

export interface Stats {
  readonly cpu_stats: {
    readonly cpu_usage: { readonly total_usage: number };
    readonly system_cpu_usage?: number;
    readonly online_cpus?: number;
  };
  readonly precpu_stats: Stats["cpu_stats"];
  readonly memory_stats: { readonly usage?: number; readonly limit?: number };
  readonly pids_stats: { readonly current?: number };
  readonly networks?: Readonly<Record<string, { rx_bytes: number; tx_bytes: number }>>;
}

/** Share of one CPU in percent, as `docker stats` computes it. */
export function cpuPercent({ cpu_stats: now, precpu_stats: before }: Stats): number {
  const used = now.cpu_usage.total_usage - (before?.cpu_usage?.total_usage ?? 0);
  const passed = (now.system_cpu_usage ?? 0) - (before?.system_cpu_usage ?? 0);
  return passed > 0 && used > 0 ? (used / passed) * (now.online_cpus ?? 1) * 100 : 0;
}
