/** Following a job's events across dropped connections. */

import type { Event } from "./generated/types.gen.js";
import { eventOf } from "./answers.js";
import { ApiError, LatentryError, Unreachable } from "./errors.js";
import type { Calling } from "./options.js";
import { isOutage, type Retries } from "./retries.js";
import { serverSentEvents } from "./sse.js";
import { Silent, sleep } from "./timers.js";

/** The states that never change, which are the last events of a job. */
export const ENDS: ReadonlySet<string> = new Set(["succeeded", "failed", "canceled", "expired"]);

// The service pings an idle stream every 15 s; three missed pings mean a dead connection.
const SILENCE_S = 45;

/** The events to the job's end. `open` opens the stream, with the headers that say where. */
export async function* follow(
  jobId: string,
  open: (headers: Record<string, string>) => Promise<Response>,
  retries: Retries,
  options: Calling & { lastEventId?: string | undefined },
): AsyncGenerator<Event> {
  let last = options.lastEventId;
  let failures = 0;
  let responded = Date.now();
  const heard = () => {
    failures = 0;
    responded = Date.now();
  };
  for (;;) {
    let lost: unknown = new Silent("the stream ended before the job");
    try {
      const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
      const response = await open(headers);
      if (response.status === 204 || !response.body) return;
      if (!isStream(response)) {
        response.body.cancel().catch(() => undefined);
        throw ApiError.of(response, undefined); // a proxy's page, which would be asked for without end
      }
      for await (const received of serverSentEvents(response.body, SILENCE_S, heard)) {
        const event = eventOf(received.data, jobId, response);
        last = received.id ?? last;
        yield event;
        if (ENDS.has(event.type)) return;
      }
    } catch (error) {
      // Of a connection that breaks off, `fetch` throws a TypeError.
      if (!(error instanceof TypeError) && !isOutage(error, retries)) throw error;
      lost = error;
    }
    options.signal?.throwIfAborted();
    failures += 1;
    if (failures >= retries.attempts && Date.now() - responded >= retries.outage * 1000) {
      throw lost instanceof LatentryError ? lost : new Unreachable("the event stream", lost);
    }
    const ceiling = Math.min(retries.longest, retries.first * 2 ** failures);
    await sleep(Math.random() * ceiling, options.signal);
  }
}

function isStream(response: Response): boolean {
  return /^text\/event-stream\s*(;|$)/i.test(response.headers.get("Content-Type") ?? "");
}
