/** Waiting for a job's end, through restarts of the service. */

import type { Job } from "./generated/types.gen.js";
import { LatentryError, StillRunning } from "./errors.js";
import { ENDS } from "./following.js";
import type { Waiting } from "./options.js";
import { isOutage, type Retries } from "./retries.js";
import { sleep } from "./timers.js";

// Long enough to save calls, short enough for proxies.
const HOLD_S = 30;
// Between two polls of a job when the service did not hold its response.
const POLL_S = 0.5;

/** The seconds that a wait may take. Throws a LatentryError for what is no number of them. */
export function boundOf(options: Waiting): number {
  const timeout = options.timeout ?? Infinity; // JavaScript may say null
  if (timeout >= 0) return timeout; // NaN is not
  throw new LatentryError(`timeout must be 0 or more seconds, not ${timeout}.`, "invalid_request");
}

/** The job at its end. `poll` asks for it: held for so many seconds, of use for so many. */
export async function ended(
  poll: (hold: number, left: number) => Promise<Job>,
  retries: Retries,
  options: Waiting,
): Promise<Job> {
  const deadline = Date.now() + boundOf(options) * 1000;
  for (let responded = Date.now(); ; ) {
    const sent = Date.now();
    const left = Math.max(0, (deadline - sent) / 1000);
    try {
      const now = await poll(Math.floor(Math.min(HOLD_S, left)), left);
      if (ENDS.has(now.status)) return now;
      if (Date.now() >= deadline) throw new StillRunning(now);
      responded = Date.now();
    } catch (error) {
      const end = deadline < Infinity ? deadline : responded + retries.outage * 1000;
      if (!isOutage(error, retries) || Date.now() >= end) throw error;
    }
    if (Date.now() - sent < POLL_S * 1000) await sleep(Math.min(POLL_S, left), options.signal);
  }
}
