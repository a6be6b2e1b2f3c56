import type { HostOptions } from "../sentry/container/host-options.ts";
import { usageError } from "./errors.ts";
import type { Values } from "./option.ts";
import type { CREATE_OPTIONS } from "./options.ts";
import { parseBytes } from "./sizes.ts";

/** Rights, devices and parameters as the user has typed them. @throws {CliError} `USAGE`. */
export function hostOptionsOf(values: Values<typeof CREATE_OPTIONS>): HostOptions {
  const shm = values["shm-size"];
  return {
    capAdd: values["cap-add"],
    capDrop: values["cap-drop"],
    privileged: values.privileged,
    securityOpt: values["security-opt"],
    domainname: values.domainname,
    shmBytes: shm === undefined ? 0 : parseBytes(shm, "--shm-size"),
    sysctls: Object.fromEntries(
      values.sysctl.map((text) => {
        const equals = text.indexOf("=");
        if (equals <= 0) throw usageError(`invalid sysctl: ${text}`, "It is NAME=VALUE");
        return [text.slice(0, equals), text.slice(equals + 1)];
      }),
    ),
    devices: values.device.map((text) => {
      const [source = "", target = source, permissions = "rwm", ...rest] = text.split(":");
      if (source === "" || rest.length > 0) {
        throw usageError(`invalid device specification: ${text}`);
      }
      const modeOnly = permissions === "rwm" && /^[rwm]{1,3}$/.test(target);
      return modeOnly
        ? { source, target: source, permissions: target }
        : { source, target, permissions };
    }),
  };
}
