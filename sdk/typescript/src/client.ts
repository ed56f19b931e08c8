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
  InterpolationRequest,
  Job,
  JobList,
  ListGenerationsData,
  UpscaleRequest,
} from "./generated/types.gen.js";
import { estimateOf, fileOf, jobOf, pageOf } from "./answers.js";
import { ApiError, JobDidNotSucceed, LatentryError } from "./errors.js";
import { follow } from "./following.js";
import { Http, type Options } from "./http.js";
import { jobIdOf, sameIn, urlOf, type AnyImage } from "./images.js";
import type { Calling, Submitting, Waiting } from "./options.js";
import { boundOf, ended } from "./waiting.js";

/** A job, or its id. */
export type AnyJob = Job | string;
type Query = NonNullable<ListGenerationsData["query"]>;
type Limits = Pick<GenerationRequest, "start_within" | "finish_within">;

// What storage and the service answer for a URL that has expired.
const EXPIRED: ReadonlySet<number> = new Set([403, 404, 410]);

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
    return jobOf(api.createGeneration({ body: request, ...this.#submitting(request, options) }));
  }

  /** Make the frames between pictures, and wait until the job has succeeded. */
  async interpolate(
    request: InterpolationRequest,
    options: Submitting & Waiting = {},
  ): Promise<Job> {
    const call = { body: request, ...this.#submitting(request, options) };
    return this.#succeeded(jobOf(api.createInterpolation(call)), options);
  }

  /** Make a clip, and wait until the job has succeeded. */
  async clip(request: ClipRequest, options: Submitting & Waiting = {}): Promise<Job> {
    const call = { body: request, ...this.#submitting(request, options) };
    return this.#succeeded(jobOf(api.createClip(call)), options);
  }

  /** Enlarge a picture, and wait until the job has succeeded. */
  async upscale(request: UpscaleRequest, options: Submitting & Waiting = {}): Promise<Job> {
    const call = { body: request, ...this.#submitting(request, options) };
    return this.#succeeded(jobOf(api.createUpscale(call)), options);
  }

  /** Make what a ControlNet would be shown of a picture, and wait until the job has succeeded. */
  async control(request: ControlRequest, options: Submitting & Waiting = {}): Promise<Job> {
    const call = { body: request, ...this.#submitting(request, options) };
    return this.#succeeded(jobOf(api.createControl(call)), options);
  }

  /** Say what a picture shows: `caption` of a job that has succeeded. */
  async caption(request: CaptionRequest, options: Submitting & Waiting = {}): Promise<Job> {
    const call = { body: request, ...this.#submitting(request, options) };
    return this.#succeeded(jobOf(api.createCaption(call)), options);
  }

  /** What a request would cost, and when it would start. No job is made. */
  async estimate(request: GenerationRequest, options: Calling = {}): Promise<Estimate> {
    const body = { ...request, dry_run: true };
    return estimateOf(api.createGeneration({ body, ...this.#common(options) }));
  }

  /** The job as it is now. */
  async get(job: AnyJob, options: Calling = {}): Promise<Job> {
    return jobOf(api.getGeneration({ path: { job_id: idOf(job) }, ...this.#common(options) }));
  }

  /** One page of jobs that match, newest first. */
  async list(query: Query = {}, options: Calling = {}): Promise<JobList> {
    if (query.status?.length === 0) {
      const message = "status: No jobs can be chosen by []; leave it out to list all.";
      throw new LatentryError(message, "invalid_request"); // a program may delete what it lists
    }
    return pageOf(api.listGenerations({ query, ...this.#common(options) }));
  }

  /** All jobs that match, newest first, read page by page. */
  async *listAll(query: Query = {}, options: Calling = {}): AsyncGenerator<Job> {
    let cursor: string | null | undefined;
    do {
      const whole = { limit: 100, ...query, ...(cursor ? { cursor } : {}) };
      const page = await this.list(whole, options);
      yield* page.data;
      cursor = page.next_cursor;
    } while (cursor);
  }

  /** The job at its end, successful or not. It outlasts restarts of the service. */
  async wait(job: AnyJob, options: Waiting = {}): Promise<Job> {
    return ended((hold, left) => this.#held(job, hold, left, options), this.#http.retries, options);
  }

  /** Cancel the job, if it has not ended yet. */
  async cancel(job: AnyJob, options: Calling = {}): Promise<Job> {
    return jobOf(api.cancelGeneration({ path: { job_id: idOf(job) }, ...this.#common(options) }));
  }

  /** Delete the job and its images. */
  async delete(job: AnyJob, options: Calling = {}): Promise<void> {
    await api.deleteGeneration({ path: { job_id: idOf(job) }, ...this.#common(options) });
  }

  /** Upload a picture: PNG, JPEG or WebP. Its `id` is for requests. */
  async upload(picture: Blob | Uint8Array, options: Calling = {}): Promise<File> {
    const body = picture instanceof Blob ? picture : new Blob([picture as BlobPart]);
    const headers = { "Content-Type": "application/octet-stream" };
    const init = { method: "POST", body, headers, ...signalOf(options) };
    return fileOf(await this.#http.send("/v1/files", init));
  }

  /**
   * The encoded bytes of an image, given as such or by its URL. One that came in a job is read
   * though its URL has expired.
   */
  async download(image: AnyImage | string, options: Calling = {}): Promise<Uint8Array> {
    if (typeof image === "string") return this.#bytes(image, options);
    try {
      return await this.#bytes(urlOf(image), options);
    } catch (error) {
      const job = jobIdOf(image);
      if (!job || !(error instanceof ApiError) || !EXPIRED.has(error.status)) throw error;
      const now = sameIn(await this.get(job, options), image);
      if (!now || now.url === image.url) throw error;
      return this.#bytes(urlOf(now), options);
    }
  }

  /** Submit a job and follow it: its steps, previews and images, then `succeeded`. */
  async *stream(
    request: GenerationRequest,
    options: Submitting & { lastEventId?: string | undefined } = {},
  ): AsyncGenerator<Event> {
    const job = await this.submit({ preview_interval: 1, ...request }, options);
    for await (const event of this.events(job, options)) {
      if (event.job && event.job.status !== "succeeded") throw new JobDidNotSucceed(event.job);
      yield event;
    }
  }

  /** The events of the job until its end; reconnects after dropped connections. */
  async *events(
    job: AnyJob,
    options: Calling & { lastEventId?: string | undefined } = {},
  ): AsyncGenerator<Event> {
    const id = idOf(job);
    const path = `/v1/generations/${encodeURIComponent(id)}/events`;
    const open = (headers: Record<string, string>) =>
      this.#http.send(path, { headers, ...signalOf(options) });
    yield* follow(id, open, this.#http.retries, options);
  }

  async #held(job: AnyJob, hold: number, left: number, options: Calling): Promise<Job> {
    const call = { path: { job_id: idOf(job) }, query: { wait: hold }, ...this.#common(options) };
    return jobOf(api.getGeneration({ ...call, fetch: this.#http.within(left) }));
  }

  async #bytes(url: string, options: Calling): Promise<Uint8Array> {
    const response = await this.#http.send(url, signalOf(options));
    return new Uint8Array(await response.arrayBuffer());
  }

  async #succeeded(submitted: Promise<Job>, options: Waiting): Promise<Job> {
    const started = Date.now();
    const accepted = await submitted;
    const timeout = Math.max(0, boundOf(options) - (Date.now() - started) / 1000);
    const job = await this.wait(accepted, { ...options, timeout });
    if (job.status !== "succeeded") throw new JobDidNotSucceed(job);
    return job;
  }

  #common(options: Calling) {
    return { client: this.api, throwOnError: true as const, ...signalOf(options) };
  }

  /** Of a call that makes a job; it is not repeated when the job would be too late. */
  #submitting(request: Limits, options: Submitting & Waiting) {
    const key = options.idempotencyKey ?? crypto.randomUUID();
    if (!/^[ -~]{1,255}$/.test(key)) {
      const message = "idempotencyKey must be 1 to 255 printable ASCII characters.";
      throw new LatentryError(message, "invalid_idempotency_key");
    }
    const limits = [boundOf(options), request.start_within, request.finish_within];
    const within = Math.min(...limits.map((seconds) => seconds ?? Infinity));
    const headers = { "Idempotency-Key": key };
    return { headers, fetch: this.#http.within(within), ...this.#common(options) };
  }
}

/** Throws a LatentryError for an id that no path can have, or that would be another path. */
function idOf(job: AnyJob): string {
  const id = typeof job === "string" ? job : job.id;
  if (!/^\.{0,2}$|\p{Surrogate}/u.test(id)) return id;
  throw new LatentryError(`${JSON.stringify(id)} is not an id.`, "invalid_request");
}

function signalOf({ signal }: Calling): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}
