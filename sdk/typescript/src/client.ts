/** The client: jobs, their events and their images. */

import type { Client } from "./generated/client/index.js";
import * as api from "./generated/sdk.gen.js";
import type {
  CaptionRequest,
  ClipRequest,
  ControlRequest,
  Estimate,
  Event,
  File,
  GenerationRequest,
  Image,
  InterpolationRequest,
  Job,
  JobList,
  ListGenerationsData,
  UpscaleRequest,
} from "./generated/types.gen.js";
import { ApiError, JobDidNotSucceed, LatentryError, StillRunning, Unreachable } from "./errors.js";
import { ENDS, follow } from "./following.js";
import { Http, type Options } from "./http.js";
import { sleep } from "./retries.js";

export interface Waiting {
  /** Seconds until StillRunning is thrown; for ever if omitted. The job goes on. */
  timeout?: number;
  signal?: AbortSignal;
}

export interface Submitting {
  /** The same key again gives the same job; made if omitted. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

/** A job, or its id. */
export type AnyJob = Job | string;

// Long enough to save calls, short enough for proxies.
const HOLD_S = 30;
// Between two polls of a job when the service did not hold its response.
const POLL_S = 0.5;
// How long a wait goes on while the service does not respond: it may be restarting.
const OUTAGE_S = 120;

/**
 * A client of a latentry service. `api` with the functions of `operations` reaches every route;
 * the methods here add waiting, events and downloads. All throw a LatentryError.
 */
export class Latentry {
  readonly #http: Http;

  constructor(options: Options = {}) {
    this.#http = new Http(options);
  }

  /** For the generated functions: `operations.listModels({ client: latentry.api })`. */
  get api(): Client {
    return this.#http.api;
  }

  /** Generate images and wait until the job has succeeded. */
  async generate(request: GenerationRequest, options: Submitting & Waiting = {}): Promise<Job> {
    return this.#succeeded(this.submit(request, options), options);
  }

  /** Submit a job and return it at once. */
  async submit(request: GenerationRequest, options: Submitting = {}): Promise<Job> {
    return jobOf(api.createGeneration({ body: request, ...this.#submitting(options) }));
  }

  /** Make the frames between pictures, and wait until the job has succeeded. */
  async interpolate(
    request: InterpolationRequest,
    options: Submitting & Waiting = {},
  ): Promise<Job> {
    const answer = api.createInterpolation({ body: request, ...this.#submitting(options) });
    return this.#succeeded(jobOf(answer), options);
  }

  /** Make a clip, and wait until the job has succeeded. */
  async clip(request: ClipRequest, options: Submitting & Waiting = {}): Promise<Job> {
    const answer = api.createClip({ body: request, ...this.#submitting(options) });
    return this.#succeeded(jobOf(answer), options);
  }

  /** Enlarge a picture, and wait until the job has succeeded. */
  async upscale(request: UpscaleRequest, options: Submitting & Waiting = {}): Promise<Job> {
    const answer = api.createUpscale({ body: request, ...this.#submitting(options) });
    return this.#succeeded(jobOf(answer), options);
  }

  /** Make what a ControlNet would be shown of a picture, and wait until the job has succeeded. */
  async control(request: ControlRequest, options: Submitting & Waiting = {}): Promise<Job> {
    const answer = api.createControl({ body: request, ...this.#submitting(options) });
    return this.#succeeded(jobOf(answer), options);
  }

  /** Say what a picture shows: `caption` of a job that has succeeded. */
  async caption(request: CaptionRequest, options: Submitting & Waiting = {}): Promise<Job> {
    const answer = api.createCaption({ body: request, ...this.#submitting(options) });
    return this.#succeeded(jobOf(answer), options);
  }

  /** What a request would cost, and when it would start. No job is made. */
  async estimate(request: GenerationRequest): Promise<Estimate> {
    const body = { ...request, dry_run: true };
    const { data } = await api.createGeneration({ body, ...this.#common() });
    return data as Estimate;
  }

  /** The job as it is now. */
  async get(job: AnyJob): Promise<Job> {
    return jobOf(api.getGeneration({ path: { job_id: idOf(job) }, ...this.#common() }));
  }

  /** One page of jobs that match, newest first. */
  async list(query: NonNullable<ListGenerationsData["query"]> = {}): Promise<JobList> {
    return (await api.listGenerations({ query, ...this.#common() })).data;
  }

  /** All jobs that match, newest first, read page by page. */
  async *listAll(query: NonNullable<ListGenerationsData["query"]> = {}): AsyncGenerator<Job> {
    let cursor: string | null | undefined;
    do {
      const page = await this.list({ limit: 100, ...query, ...(cursor ? { cursor } : {}) });
      yield* page.data;
      cursor = page.next_cursor;
    } while (cursor);
  }

  /** The job at its end, successful or not. It outlasts restarts of the service. */
  async wait(job: AnyJob, options: Waiting = {}): Promise<Job> {
    const deadline = Date.now() + (options.timeout ?? Infinity) * 1000;
    for (let responded = Date.now(); ; ) {
      const sent = Date.now();
      const left = Math.max(0, (deadline - sent) / 1000);
      try {
        const now = await this.#held(job, Math.floor(Math.min(HOLD_S, left)), options.signal);
        if (ENDS.has(now.status)) return now;
        if (Date.now() >= deadline) throw new StillRunning(now);
        responded = Date.now();
      } catch (error) {
        const outage = (Date.now() - responded) / 1000;
        if (!isOutage(error) || Date.now() >= deadline || outage >= OUTAGE_S) throw error;
      }
      if (Date.now() - sent < POLL_S * 1000) await sleep(Math.min(POLL_S, left), options.signal);
    }
  }

  /** Cancel the job, if it has not ended yet. */
  async cancel(job: AnyJob): Promise<Job> {
    return jobOf(api.cancelGeneration({ path: { job_id: idOf(job) }, ...this.#common() }));
  }

  /** Delete the job and its images. */
  async delete(job: AnyJob): Promise<void> {
    await api.deleteGeneration({ path: { job_id: idOf(job) }, ...this.#common() });
  }

  /** Upload a picture: PNG, JPEG or WebP. Its `id` is for requests. */
  async upload(picture: Blob | Uint8Array): Promise<File> {
    const body = picture instanceof Blob ? picture : new Blob([picture as BlobPart]);
    const headers = { "Content-Type": "application/octet-stream" };
    const response = await this.#http.send("/v1/files", { method: "POST", body, headers });
    return (await response.json()) as File;
  }

  /** The encoded bytes of an image, given as such or by its URL. */
  async download(image: Image | string): Promise<Uint8Array> {
    const response = await this.#http.send(typeof image === "string" ? image : image.url);
    try {
      return new Uint8Array(await response.arrayBuffer());
    } catch (error) {
      throw new Unreachable(response.url ? new URL(response.url).origin : "The service", error);
    }
  }

  /** Submit a job and follow it: its steps, previews and images, then `succeeded`. */
  async *stream(
    request: GenerationRequest,
    options: Submitting & { lastEventId?: string } = {},
  ): AsyncGenerator<Event> {
    const job = await this.submit({ preview_interval: 1, ...request }, options);
    for await (const event of this.events(job, options)) {
      if (event.job && event.job.status !== "succeeded") throw new JobDidNotSucceed(event.job);
      yield event;
    }
  }

  /** The events of the job until its end; reconnects after dropped connections. */
  events(
    job: AnyJob,
    options: { lastEventId?: string; signal?: AbortSignal } = {},
  ): AsyncGenerator<Event> {
    const path = `/v1/generations/${encodeURIComponent(idOf(job))}/events`;
    const open = (headers: Record<string, string>) =>
      this.#http.send(path, { headers, ...signalOf(options.signal) });
    return follow(open, this.#http.retries, options);
  }

  async #held(job: AnyJob, seconds: number, signal?: AbortSignal): Promise<Job> {
    const path = { job_id: idOf(job) };
    return jobOf(api.getGeneration({ path, query: { wait: seconds }, ...this.#common(signal) }));
  }

  async #succeeded(submitted: Promise<Job>, options: Waiting): Promise<Job> {
    const job = await this.wait(await submitted, options);
    if (job.status !== "succeeded") throw new JobDidNotSucceed(job);
    return job;
  }

  #common(signal?: AbortSignal) {
    return { client: this.api, throwOnError: true as const, ...signalOf(signal) };
  }

  #submitting(options: Submitting) {
    const key = options.idempotencyKey ?? crypto.randomUUID();
    if (!/^[ -~]{1,255}$/.test(key)) {
      const message = "idempotencyKey must be 1 to 255 printable ASCII characters.";
      throw new LatentryError(message, "invalid_idempotency_key");
    }
    const headers = { "Idempotency-Key": key };
    return { headers, ...this.#common(options.signal) };
  }
}

/** The job of an answer; a request that was no `dry_run` has one. */
async function jobOf(answer: Promise<{ data: Job | Estimate; response: Response }>): Promise<Job> {
  const { data, response } = await answer;
  if (typeof data === "object" && "status" in data) return data;
  throw ApiError.of(response, data); // of another service, at this address
}

function isOutage(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof ApiError && error.status >= 502);
}

function idOf(job: AnyJob): string {
  return typeof job === "string" ? job : job.id;
}

function signalOf(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}
