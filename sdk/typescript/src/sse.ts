/** Server-sent events, read from the chunks of a response (WHATWG HTML, section 9.2.6). */

export interface ServerSentEvent {
  event: string;
  data: string;
  /** The last id that the stream had. */
  id: string | undefined;
}

/** A stream says nothing any more; as a lost connection it is a TypeError. */
export class Silent extends TypeError {}

/** The events of a stream, as they come. Throws Silent if it says nothing for so many seconds. */
export async function* serverSentEvents(
  body: ReadableStream<Uint8Array>,
  silence: number,
): AsyncGenerator<ServerSentEvent> {
  let event = "";
  let data: string[] = [];
  let id: string | undefined;
  for await (const line of lines(body, silence)) {
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
): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await spoken(reader.read(), silence);
      if (done) return;
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

/** What a promise gives, unless that takes longer than so many seconds. */
async function spoken<T>(promise: Promise<T>, seconds: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Silent(`nothing for ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
