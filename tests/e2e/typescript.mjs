/** A program of somebody who uses the package: argument 1 is the service's URL. */

import assert from "node:assert/strict";
import { Latentry, operations } from "latentry";

const latentry = new Latentry({ baseUrl: process.argv[2] });

const estimate = await latentry.estimate({ prompt: "a red circle", num_inference_steps: 4 });
assert.ok(estimate.cost.step_megapixels > 0);

const job = await latentry.generate(
  { prompt: "a red circle", seed: 7, n: 2, num_inference_steps: 4, metadata: { from: "typescript" } },
  { timeout: 100 },
);
assert.deepEqual(job.images.map((image) => image.seed), [7, 8]);
const png = await latentry.download(job.images[0]);
assert.equal(Buffer.from(png.subarray(1, 4)).toString(), "PNG");

const file = await latentry.upload(png);
const kinds = new Set();
let end;
const request = { prompt: "a green frog", image: file.id, num_inference_steps: 30 };
for await (const event of latentry.stream(request)) {
  kinds.add(event.type);
  end = event.job ?? end;
  if (event.preview) assert.match(event.preview.url, /^data:image\/jpeg;base64,/);
}
for (const kind of ["queued", "running", "preview", "image", "succeeded"]) assert.ok(kinds.has(kind), kind);
assert.equal(end.images.length, 1);

const again = await latentry.submit({ prompt: "a star", num_inference_steps: 100, n: 8 }, { idempotencyKey: "mine" });
assert.equal((await latentry.submit({ prompt: "a star", num_inference_steps: 100, n: 8 }, { idempotencyKey: "mine" })).id, again.id);
await latentry.cancel(again);
assert.equal((await latentry.wait(again, { timeout: 60 })).status, "canceled");

const found = [];
for await (const one of latentry.listAll({ metadata: ["from=typescript"] })) found.push(one.id);
assert.deepEqual(found, [job.id]);
await latentry.delete(job);
await assert.rejects(latentry.get(job), { name: "ApiError", code: "job_not_found", status: 404 });

await assert.rejects(latentry.submit({ prompt: "a star", steps: 3 }), (error) => {
  assert.equal(error.code, "invalid_request");
  assert.equal(error.errors[0].pointer, "/steps");
  assert.ok(error.requestId);
  return true;
});

const { data: models } = await operations.listModels({ client: latentry.api, throwOnError: true });
assert.deepEqual(models.data.map((model) => model.id), ["shapes"]);
console.log("done");
