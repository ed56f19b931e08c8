/** latentry: a client of a self-hosted Stable Diffusion service. */

export * from "./client.js";
export * from "./errors.js";
export type { Options } from "./http.js";
export type { AnyImage } from "./images.js";
export type { Calling, Submitting, Waiting } from "./options.js";
export type { Retries } from "./retries.js";
/** Every operation of the API as a function: `operations.listModels({ client: latentry.api })`. */
export * as operations from "./generated/sdk.gen.js";
export type * from "./generated/types.gen.js";
