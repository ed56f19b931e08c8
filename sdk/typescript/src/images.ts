/** Images and the jobs that they came with, so that URLs that have expired can be renewed. */

import type { Image, Job, Output } from "./generated/types.gen.js";
import { LatentryError } from "./errors.js";

/** An image of a job, or what else it made. */
export type AnyImage = Image | Output;

// By the objects themselves: of a copy nothing is known but what it says.
const jobs = new WeakMap<object, string>();

/** The job; its images are known to be its own from now on. */
export function withImages(job: Job): Job {
  for (const image of [...job.images, ...job.outputs]) jobs.set(image, job.id);
  return job;
}

/** Notes the job of an image that came without it. */
export function belongs(image: AnyImage | null | undefined, jobId: string): void {
  if (image) jobs.set(image, jobId);
}

/** The id of the job that an image came with. */
export function jobIdOf(image: AnyImage): string | undefined {
  return jobs.get(image);
}

/** The same image as a job has it now. */
export function sameIn(job: Job, image: AnyImage): AnyImage | undefined {
  if (!("kind" in image)) return job.images.find((one) => one.index === image.index);
  const { kind, index, name } = image;
  return job.outputs.find((one) => one.kind === kind && one.index === index && one.name === name);
}

/** Where an image is. Throws a LatentryError that says why, if there is no picture. */
export function urlOf(image: AnyImage): string {
  if (image.url) return image.url;
  const error = "error" in image ? image.error : undefined;
  const message = error?.message ?? "The service has no picture here.";
  throw new LatentryError(message, error?.code ?? "job_failed");
}
