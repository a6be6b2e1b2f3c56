import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { complain, element } from "./dom.ts";
import { part, post } from "./engine.ts";
import type { End } from "./live.ts";

/**
 * The page's policy lets a style element in only with the nonce that the page came with. The terminal makes
 * its own style elements and knows of no nonces.
 */
function nonceStyles(): void {
  const nonce = document.querySelector("script")?.nonce ?? "";
  const create = document.createElement.bind(document);
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const made = create(name, options);
    if (made instanceof HTMLStyleElement) made.nonce = nonce;
    return made;
  }) as typeof document.createElement;
}

nonceStyles();

/** A shell in a running container, in `parent`. */
export function openTerminal(
  parent: HTMLElement,
  container: string,
  command: readonly string[],
): End {
  const place = element("div", { class: "terminal" });
  parent.appendChild(place);
  const terminal = new Terminal({ cursorBlink: true, fontSize: 13, screenReaderMode: true });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(place);
  fit.fit();
  let socket: WebSocket | undefined;
  let ended = false;
  const connect = async () => {
    const made = await post<{ Id: string }>(`/containers/${part(container)}/exec`, {
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
      Env: ["TERM=xterm-256color"],
      Cmd: command,
      ConsoleSize: [terminal.rows, terminal.cols],
    });
    if (made === undefined || ended) return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(`${scheme}//${location.host}/exec/${made.Id}/ws`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => terminal.write(new Uint8Array(data as ArrayBuffer));
    socket.onclose = () => {
      if (!ended) terminal.write("\r\n[the process has ended]\r\n");
    };
    const encoder = new TextEncoder();
    terminal.onData((text) => {
      if (socket?.readyState === WebSocket.OPEN) socket.send(encoder.encode(text));
    });
    terminal.onResize(({ rows, cols }) => {
      post(`/exec/${made.Id}/resize`, undefined, { h: rows, w: cols }).catch(() => undefined);
    });
    terminal.focus();
  };
  connect().catch(complain);
  const observer = new ResizeObserver(() => fit.fit());
  observer.observe(place);
  return () => {
    ended = true;
    observer.disconnect();
    socket?.close();
    terminal.dispose();
    place.remove();
  };
}
