/** When a call is repeated, as a `fetch` that does so. */

import { ApiError, retryAfterOf, Unreachable } from "./errors.js";
import { after, sleep, soon } from "./timers.js";

/** How often and how long calls are repeated. */
export interface Retries {
  /** Attempts per call. */
  attempts: number;
  /** The first pause is at most so many seconds, each later one twice the one before. */
  first: number;
  /** A pause is at most so many seconds; if the service asks for a longer one, the call fails. */
  longest: number;
  /** Seconds that `wait` and `events` go on while the service does not respond. */
  outage: number;
  /** Retries of this client altogether, unless the service asks for them; every tenth call earns one. */
  budget: number;
}

export const RETRIES: Retries = { attempts: 5, first: 0.5, longest: 30, outage: 120, budget: 100 };

/** A `fetch`; `within`: seconds after which its response is of no use any more. */
export type Send = (
  input: string | URL | Request,
  init?: RequestInit,
  within?: number,
) => Promise<Response>;
type Pause = (seconds: number, signal?: AbortSignal | null) => Promise<void>;

const TRANSIENT: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);
const PER_CALL = 0.1;
// A service that is there responds within this, after it has held a response.
const GRACE_S = 2;
// No `fetch` says when it has sent a body: a slow line takes a second for so many bytes.
const SLOWEST = 64 * 1024;

/** Whether a call failed in a way that may pass, and soon enough. */
export function isOutage(error: unknown, retries: Retries): boolean {
  if (!(error instanceof ApiError)) return error instanceof Unreachable;
  return TRANSIENT.has(error.status) && (error.retryAfter ?? 0) <= retries.longest;
}

/**
 * A `fetch` that repeats calls after 408, 429, 502, 503, 504 and lost connections: full jitter on
 * top of `Retry-After`. POSTs get an idempotency key, so that a repeated one is one job.
 */
export function retrying(send: Send, retries: Retries, pause: Pause = sleep): Send {
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
  return async (input, init, within = Infinity) => {
    const request = withKey(new Request(input, init));
    const deadline = Date.now() + within * 1000;
    left = Math.min(retries.budget, left + PER_CALL);
    for (let attempt = 1; ; attempt++) {
      let response: Response | undefined;
      let lost: unknown;
      try {
        response = await send(request.clone(), undefined, (deadline - Date.now()) / 1000);
        if (isDeleted(request, attempt, response)) return new Response(null, { status: 204 });
        if (!TRANSIENT.has(response.status)) return response;
      } catch (error) {
        if (request.signal.aborted) throw error;
        lost = error;
      }
      const seconds = next(attempt, response);
      if (seconds === undefined || Date.now() + seconds * 1000 > deadline) {
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
 * A `fetch` whose responses begin within so many seconds, besides those that sending its body takes
 * and those that a request allows the service to hold it, and are read wholly, each part within as
 * many. Streams of events are not read.
 */
export function timed(fetch: typeof globalThis.fetch, seconds: number): Send {
  return async (input, init, within = Infinity) => {
    const request = new Request(input, init);
    const limit = Math.min(seconds + heldFor(request), Math.max(0, within) + GRACE_S);
    const late = new AbortController();
    const whole = limit + (await request.clone().blob()).size / SLOWEST;
    const error = new TypeError(`no response within ${Math.round(whole)} s`);
    const timer = after(whole, () => late.abort(error));
    try {
      const signal = AbortSignal.any([request.signal, late.signal]);
      const response = await fetch(request, { signal });
      clearTimeout(timer); // of what has begun no part may be late, however many there are
      return isStream(request) ? response : await read(response, Math.min(seconds, limit));
    } finally {
      clearTimeout(timer);
    }
  };
}

/** The same response with its body in memory. Throws a TypeError if that breaks off or stalls. */
async function read(response: Response, seconds: number): Promise<Response> {
  if (!response.body) return response;
  const chunks: Uint8Array[] = [];
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await soon(reader.read(), seconds);
      if (done) break;
      chunks.push(value);
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
  const { status, statusText, headers } = response;
  const whole = new Response(new Blob(chunks as BlobPart[]), { status, statusText, headers });
  return Object.defineProperty(whole, "url", { value: response.url });
}

/** Whether an earlier attempt, whose response was lost, has deleted it. */
function isDeleted(request: Request, attempt: number, response: Response): boolean {
  return request.method === "DELETE" && attempt > 1 && [404, 410].includes(response.status);
}

function isStream(request: Request): boolean {
  return request.headers.get("Accept") === "text/event-stream";
}

/** Seconds that the service may hold the response. */
function heldFor(request: Request): number {
  const preferred = /\bwait=(\d+)/.exec(request.headers.get("Prefer") ?? "")?.[1];
  return Number(preferred ?? new URL(request.url).searchParams.get("wait") ?? 0);
}

function withKey(request: Request): Request {
  if (request.method === "POST" && !request.headers.has("Idempotency-Key")) {
    request.headers.set("Idempotency-Key", crypto.randomUUID());
  }
  return request;
}
