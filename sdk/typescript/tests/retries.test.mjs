/** Retries, event streams and errors, against scripted answers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, JobDidNotSucceed, Latentry, Unreachable } from "../dist/index.js";

const JOB = { id: "gen_1", status: "succeeded", images: [], outputs: [] };
const AT_ONCE = { first: 0 };

/** A client on answers, of which the last one repeats, and the requests that it sent. */
function scripted(answers, options = {}) {
  const sent = [];
  const fetch = async (input, init) => {
    sent.push(new Request(input, init));
    const answer = answers[Math.min(sent.length, answers.length) - 1];
    if (answer instanceof Error) throw answer;
    return answer.clone();
  };
  const client = new Latentry({ baseUrl: "http://latentry.test", fetch, retries: AT_ONCE, ...options });
  return { client, sent };
}

const json = (body, status = 200, headers = {}) => Response.json(body, { status, headers });
const problem = (status, code, headers = {}) =>
  json({ type: "about:blank", title: "No", status, detail: "Not now.", code }, status, headers);

test("a repeated submission has the same key and is one job", async () => {
  const { client, sent } = scripted([new TypeError("lost"), problem(503, "queue_full"), json(JOB, 202)]);
  assert.equal((await client.submit({ prompt: "a frog" })).id, "gen_1");
  const keys = new Set(sent.map((request) => request.headers.get("Idempotency-Key")));
  assert.equal(sent.length, 3);
  assert.equal(keys.size, 1);
  assert.deepEqual(await sent[2].json(), { prompt: "a frog" });
});

test("a refusal carries what the service says", async () => {
  const { client } = scripted([problem(429, "quota_exceeded", { "Retry-After": "3600", "X-Request-Id": "req_1" })]);
  await assert.rejects(client.submit({ prompt: "a frog" }), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual(
      [error.code, error.status, error.retryAfter, error.requestId, error.message],
      ["quota_exceeded", 429, 3600, "req_1", "Not now."],
    );
    return true;
  });
});

test("a final refusal is not repeated, and attempts run out", async () => {
  const final = scripted([problem(422, "invalid_request")]);
  await assert.rejects(final.client.get("gen_1"), { code: "invalid_request" });
  assert.equal(final.sent.length, 1);
  const lost = scripted([new TypeError("refused")]);
  await assert.rejects(lost.client.get("gen_1"), (error) => {
    assert.ok(error instanceof Unreachable);
    assert.match(error.message, /http:\/\/latentry.test does not respond: refused/);
    return true;
  });
  assert.equal(lost.sent.length, 5);
});

test("retries are bounded over all calls", async () => {
  const { client, sent } = scripted([problem(502, "x")], { retries: { ...AT_ONCE, budget: 2 } });
  await assert.rejects(client.get("gen_1"));
  await assert.rejects(client.get("gen_1"));
  assert.equal(sent.length, 4);
});

test("a wait outlasts a restart of the service", async () => {
  const restarting = Array(12).fill(new TypeError("refused"));
  const { client, sent } = scripted([...restarting, problem(503, "shutting_down"), json(JOB)]);
  assert.equal((await client.wait("gen_1")).status, "succeeded");
  assert.equal(sent.length, 14);
});

test("a page of a proxy is an error with its status", async () => {
  const { client } = scripted([new Response("<p>no</p>", { status: 500 })]);
  await assert.rejects(client.get("gen_1"), { code: "http_500", status: 500 });
  const other = scripted([new Response("<p>hello</p>", { headers: { "Content-Type": "text/html" } })]);
  await assert.rejects(other.client.wait("gen_1"), { code: "http_200", status: 200 });
});

test("a caller's signal ends a wait", async () => {
  const { client } = scripted([json({ ...JOB, status: "running" })]);
  const signal = AbortSignal.abort(new Error("enough"));
  await assert.rejects(client.wait("gen_1", { signal }), /enough/);
});

test("the key is sent to the service only", async () => {
  const { client, sent } = scripted([new Response("png")], { apiKey: "ltk_secret" });
  await client.download("http://latentry.test/v1/files/a.png");
  await client.download("https://bucket.test/a.png?signature=x");
  assert.deepEqual(
    sent.map((request) => request.headers.get("Authorization")),
    ["Bearer ltk_secret", null],
  );
});

const event = (type, id, more = {}) =>
  `event: ${type}\n${id ? `id: ${id}\n` : ""}data: ${JSON.stringify({ type, id, ...more })}\n\n`;

test("a stream that breaks off goes on after the last durable event", async () => {
  const { client, sent } = scripted([
    new Response(": ping\n\n" + event("queued", "1-0") + event("step", null) + "event: run"),
    new Response(event("running", "2-0") + event("succeeded", "3-0", { job: JOB })),
  ]);
  const seen = [];
  for await (const one of client.events("gen_1")) seen.push(one.type);
  assert.deepEqual(seen, ["queued", "step", "running", "succeeded"]);
  assert.deepEqual(
    sent.map((request) => request.headers.get("Last-Event-ID")),
    [null, "1-0"],
  );
});

test("a followed job that fails is an error", async () => {
  const failed = { ...JOB, status: "failed", error: { code: "out_of_memory", message: "No room." } };
  const { client } = scripted([json(JOB, 202), new Response(event("failed", "3-0", { job: failed }))]);
  await assert.rejects(
    async () => {
      for await (const _ of client.stream({ prompt: "a frog" }));
    },
    (error) => error instanceof JobDidNotSucceed && /No room/.test(error.message),
  );
});

test("what no header or URL can carry is refused before it is sent", async () => {
  const { client, sent } = scripted([json(JOB, 202)]);
  for (const idempotencyKey of ["", "two\nlines", "ключ", "x".repeat(256)]) {
    for (const call of [
      () => client.submit({ prompt: "a frog" }, { idempotencyKey }),
      () => client.upscale({ image: "file_1" }, { idempotencyKey }),
    ]) {
      await assert.rejects(call(), { name: "LatentryError", code: "invalid_idempotency_key" });
    }
  }
  assert.equal(sent.length, 0);
  for (const options of [{ apiKey: "ключ" }, { baseUrl: "http://user:secret@latentry.test" }]) {
    assert.throws(() => new Latentry(options), (error) => {
      assert.equal(error.code, "configuration");
      assert.doesNotMatch(error.message, /secret|ключ/);
      return true;
    });
  }
});

test("an image that breaks off is a service that does not respond", async () => {
  const broken = new ReadableStream({ start: (to) => to.error(new TypeError("terminated")) });
  const answer = new Response(broken);
  const { client } = scripted([{ status: 200, ok: true, url: "", clone: () => answer }]);
  await assert.rejects(client.download("/v1/files/a.png"), (error) => {
    assert.ok(error instanceof Unreachable);
    assert.match(error.message, /terminated/);
    return true;
  });
});
