import type { ContainerRecord } from "../../sentry/container/record.ts";

/** What events say about a container: its image, its name and its labels. */
export function attributesOf({ imageName, name, labels }: ContainerRecord): Record<string, string> {
  return { ...labels, image: imageName, name };
}
