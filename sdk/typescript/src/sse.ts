/** Server-sent events, read from the chunks of a response (WHATWG HTML, section 9.2.6). */

import { soon } from "./timers.js";

export interface ServerSentEvent {
  event: string;
  data: string;
  /** The last id that the stream had. */
  id: string | undefined;
}

/**
 * The events of a stream, as they come. Throws Silent if it says nothing for so many seconds.
 * `heard` is called whenever it says something, and be it a ping.
 */
export async function* serverSentEvents(
  body: ReadableStream<Uint8Array>,
  silence: number,
  heard: () => void,
): AsyncGenerator<ServerSentEvent> {
  let event = "";
  let data: string[] = [];
  let id: string | undefined;
  for await (const line of lines(body, silence, heard)) {
    if (line === "") {
      if (data.length) yield { event: event || "message", data: data.join("\n"), id };
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") data.push(value);
    else if (name === "event") event = value;
    else if (name === "id" && !value.includes("\0")) id = value;
  }
}

async function* lines(
  body: ReadableStream<Uint8Array>,
  silence: number,
  heard: () => void,
): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await soon(reader.read(), silence);
      if (done) return;
      heard();
      rest += decoder.decode(value, { stream: true });
      // A CR at the very end may be half of a CRLF: it is kept until the next bytes arrive.
      const whole = rest.endsWith("\r") ? rest.slice(0, -1) : rest;
      const found = whole.split(/\r\n|\r|\n/);
      rest = (found.pop() ?? "") + rest.slice(whole.length);
      yield* found;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
