/** When a call is repeated, as a `fetch` that does so. */

import { retryAfterOf, Unreachable } from "./errors.js";

/** How often and how long calls are repeated. */
export interface Retries {
  /** Attempts per call. */
  attempts: number;
  /** The first pause is at most so many seconds, each later one twice the one before. */
  first: number;
  /** A pause is at most so many seconds; if the service asks for a longer one, the call fails. */
  longest: number;
  /** Retries of this client altogether, unless the service asks for them; every tenth call earns one. */
  budget: number;
}

export const RETRIES: Retries = { attempts: 5, first: 0.5, longest: 30, budget: 100 };

type Fetch = typeof globalThis.fetch;
type Pause = (seconds: number, signal?: AbortSignal | null) => Promise<void>;

const TRANSIENT = new Set([408, 429, 502, 503, 504]);
const PER_CALL = 0.1;

/**
 * A `fetch` that repeats calls after 408, 429, 502, 503, 504 and lost connections: full jitter on
 * top of `Retry-After`. POSTs get an idempotency key, so that a repeated one is one job.
 */
export function retrying(fetch: Fetch, retries: Retries, pause: Pause = sleep): Fetch {
  let left = retries.budget;
  const next = (attempt: number, response?: Response): number | undefined => {
    const asked = response && retryAfterOf(response);
    if (attempt >= retries.attempts || (asked ?? 0) > retries.longest) return undefined;
    if (asked === undefined) {
      if (left < 1) return undefined;
      left -= 1;
    }
    const ceiling = Math.min(retries.longest, retries.first * 2 ** (attempt - 1));
    return (asked ?? 0) + Math.random() * ceiling;
  };
  return async (input, init) => {
    const request = withKey(new Request(input, init));
    left = Math.min(retries.budget, left + PER_CALL);
    for (let attempt = 1; ; attempt++) {
      let response: Response | undefined;
      let lost: unknown;
      try {
        response = await fetch(request.clone());
        if (!TRANSIENT.has(response.status)) return response;
      } catch (error) {
        if (request.signal.aborted) throw error;
        lost = error;
      }
      const seconds = next(attempt, response);
      if (seconds === undefined) {
        if (response) return response;
        throw new Unreachable(new URL(request.url).origin, lost);
      }
      // Not awaited: of a response that somebody has cloned it would wait for the other one.
      response?.body?.cancel().catch(() => undefined);
      await pause(seconds, request.signal);
    }
  };
}

/**
 * A `fetch` whose responses begin within so many seconds, besides those that a request allows the
 * service to hold it. Streams of events may begin late.
 */
export function within(fetch: Fetch, seconds: number): Fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const late = new AbortController();
    const error = new TypeError(`no response within ${seconds} s`);
    const timer = setTimeout(() => late.abort(error), (seconds + heldFor(request)) * 1000);
    try {
      return await fetch(request, { signal: AbortSignal.any([request.signal, late.signal]) });
    } finally {
      clearTimeout(timer);
    }
  };
}

/** Seconds that the service may hold the response. */
function heldFor(request: Request): number {
  const preferred = /\bwait=(\d+)/.exec(request.headers.get("Prefer") ?? "")?.[1];
  return Number(preferred ?? new URL(request.url).searchParams.get("wait") ?? 0);
}

/** Resolves after so many seconds; rejects at once if the signal is aborted. */
export function sleep(seconds: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

function withKey(request: Request): Request {
  if (request.method === "POST" && !request.headers.has("Idempotency-Key")) {
    request.headers.set("Idempotency-Key", crypto.randomUUID());
  }
  return request;
}
