/** What the SDK throws, all of one base. */

import type { FieldError, Job, Problem } from "./generated/types.gen.js";

/** The base of all errors of the SDK. `code` is stable, `message` is for people. */
export class LatentryError extends Error {
  constructor(
    message: string,
    readonly code: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The service refused the call. */
export class ApiError extends LatentryError {
  readonly status: number;
  /** What is wrong with which field, if the request was invalid. */
  readonly errors: FieldError[];
  /** The id of the request in the service's logs. */
  readonly requestId: string | undefined;
  /** Seconds after which the call may succeed, if the service says so. */
  readonly retryAfter: number | undefined;

  constructor(problem: Problem, response: Response) {
    super(problem.detail, problem.code);
    this.status = problem.status;
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id ?? response.headers.get("X-Request-Id") ?? undefined;
    this.retryAfter = retryAfterOf(response);
  }

  /** The error of a response, whose body may be a problem, or a page of a proxy. */
  static of(response: Response, body: unknown): ApiError {
    if (isProblem(body)) return new ApiError(body, response);
    const title = response.statusText || "Unexpected response";
    return new ApiError(
      {
        type: "about:blank",
        title,
        status: response.status,
        detail: `${response.url.split("?")[0]} returned ${response.status} ${title}${hintOf(response)}`,
        code: `http_${response.status}`,
        errors: [],
      },
      response,
    );
  }
}

/** The service did not respond, after all retries; `cause` says why. */
export class Unreachable extends LatentryError {
  constructor(what: string, cause: unknown) {
    super(`${what} does not respond: ${reasonOf(cause)}.`, "unreachable", { cause });
  }
}

/** The time is over and the job has not ended; it goes on. */
export class StillRunning extends LatentryError {
  constructor(readonly job: Job) {
    super(`Job ${job.id} is still ${job.status} after the timeout.`, "still_running");
  }
}

/** The job failed, was canceled or expired. */
export class JobDidNotSucceed extends LatentryError {
  constructor(readonly job: Job) {
    const why = job.error ? `: ${job.error.message} (${job.error.code})` : ".";
    super(`Job ${job.id} ended as ${job.status}${why}`, "job_did_not_succeed");
  }
}

/** The seconds in `Retry-After`, which may be a date. */
export function retryAfterOf(response: Response): number | undefined {
  const header = response.headers.get("Retry-After")?.trim();
  if (!header) return undefined;
  if (/^\d+$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, (at - Date.now()) / 1000);
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "code" in body && "detail" in body;
}

/** The end of the sentence. */
function hintOf(response: Response): string {
  if (!response.ok) return ".";
  return ", which is not latentry's answer; is the base URL right? Or does a proxy change what it says?";
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // Node's fetch says "fetch failed"; what failed is below.
  const below = cause.cause;
  return below instanceof Error ? below.message || String((below as { code?: string }).code) : cause.message;
}
