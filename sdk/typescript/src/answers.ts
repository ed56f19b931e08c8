/** What the service answers. Each throws an ApiError for what only another service would say. */

import type { Estimate, Event, File, Job, JobList } from "./generated/types.gen.js";
import { ApiError } from "./errors.js";
import { belongs, withImages } from "./images.js";

/** A call of a generated function. */
export type Answer<T> = Promise<{ data: T; response: Response }>;

/** The job of an answer; a request that was no `dry_run` has one. */
export async function jobOf(answer: Answer<Job | Estimate>): Promise<Job> {
  const { data, response } = await answer;
  if (isJob(data)) return withImages(data);
  throw ApiError.of(response, data);
}

/** The estimate of a `dry_run`. */
export async function estimateOf(answer: Answer<Job | Estimate>): Promise<Estimate> {
  const { data, response } = await answer;
  if (isObject(data) && isObject(data.cost)) return data as Estimate;
  throw ApiError.of(response, data);
}

/** A page of jobs. */
export async function pageOf(answer: Answer<JobList>): Promise<JobList> {
  const { data, response } = await answer;
  if (!isObject(data) || !Array.isArray(data.data) || !data.data.every(isJob)) {
    throw ApiError.of(response, data);
  }
  data.data.forEach(withImages);
  return data;
}

/** The file that an upload made. */
export async function fileOf(response: Response): Promise<File> {
  const data = await bodyOf(response);
  if (isObject(data) && typeof data.id === "string") return data as File;
  throw ApiError.of(response, data);
}

/** An event of a job, with the images that it brings. */
export function eventOf(text: string, jobId: string, response: Response): Event {
  const event = parsed(text);
  if (!isEvent(event)) throw ApiError.of(response, undefined);
  if (event.job) withImages(event.job);
  belongs(event.image, jobId);
  belongs(event.output, jobId);
  return event;
}

/** The JSON of a response, or its text if it is none. */
export async function bodyOf(response: Response): Promise<unknown> {
  const text = await response.text();
  return parsed(text) ?? text;
}

/** The same response. Throws an ApiError for a web page, which no route has, and for JSON that is none. */
export async function sound(response: Response): Promise<Response> {
  if (!response.ok) return response; // whoever reads the error does so too
  const type = response.headers.get("Content-Type") ?? "";
  const isJson = /^application\/(.+\+)?json\b/i.test(type);
  if (/^text\/html\b/i.test(type) || (isJson && parsed(await response.clone().text()) === undefined)) {
    throw ApiError.of(response, undefined);
  }
  return response;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(data: unknown): data is Record<string, unknown> {
  return typeof data === "object" && data !== null;
}

function isJob(data: unknown): data is Job {
  return isObject(data) && "status" in data && areObjects(data.images) && areObjects(data.outputs);
}

function isEvent(data: unknown): data is Event {
  if (!isObject(data) || typeof data.type !== "string") return false;
  const { job, image, output } = data;
  return (!job || isJob(job)) && (!image || isObject(image)) && (!output || isObject(output));
}

function areObjects(data: unknown): boolean {
  return Array.isArray(data) && data.every(isObject);
}
