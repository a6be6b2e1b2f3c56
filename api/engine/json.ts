/** A JSON object in docker's words, as the Engine API's reference describes it. */
export type JsonObject = Readonly<Record<string, unknown>>;
