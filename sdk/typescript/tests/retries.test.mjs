/** Retries, event streams and errors, against scripted answers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, JobDidNotSucceed, Latentry, operations, Unreachable } from "../dist/index.js";

const JOB = { id: "gen_1", status: "succeeded", images: [], outputs: [] };
const AT_ONCE = { first: 0, outage: 0 };

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

test("what is no number of seconds is refused before anything is sent", async () => {
  for (const timeout of [NaN, -1]) {
    const { client, sent } = scripted([json(JOB)]);
    const refused = { code: "invalid_request", message: /timeout must be 0 or more seconds/ };
    await assert.rejects(client.wait("gen_1", { timeout }), refused);
    await assert.rejects(client.generate({ prompt: "a frog" }, { timeout }), refused);
    assert.equal(sent.length, 0);
    assert.throws(() => scripted([], { timeout }), { code: "configuration" });
    assert.throws(() => scripted([], { retries: { outage: timeout } }), { code: "configuration" });
  }
  assert.throws(() => scripted([], { timeout: 0 }), { code: "configuration" });
  const { client, sent } = scripted([json(JOB)], { timeout: Infinity });
  assert.equal((await client.wait("gen_1", { timeout: Infinity })).id, "gen_1");
  await client.wait("gen_1", { timeout: null }); // as JavaScript may say it
  assert.deepEqual(sent.map(({ url }) => new URL(url).searchParams.get("wait")), ["30", "30"]);
});

test("what an attempt without an answer has deleted is deleted", async () => {
  for (const status of [404, 410]) {
    const { client, sent } = scripted([new TypeError("lost"), problem(status, "job_not_found")]);
    await client.delete("gen_1");
    assert.equal(sent.length, 2);
    const never = scripted([problem(status, "job_not_found")]);
    await assert.rejects(never.client.delete("gen_1"), { code: "job_not_found" });
  }
  const { client } = scripted([new TypeError("lost"), problem(404, "job_not_found")]);
  await assert.rejects(client.get("gen_1"), { code: "job_not_found" });
});

test("retries are bounded over all calls", async () => {
  const { client, sent } = scripted([problem(502, "x")], { retries: { ...AT_ONCE, budget: 2 } });
  await assert.rejects(client.get("gen_1"));
  await assert.rejects(client.get("gen_1"));
  assert.equal(sent.length, 4);
});

test("a wait outlasts a restart of the service", async () => {
  const restarting = Array(12).fill(new TypeError("refused"));
  const answers = [...restarting, problem(503, "shutting_down"), json(JOB)];
  const { client, sent } = scripted(answers, { retries: { first: 0 } });
  assert.equal((await client.wait("gen_1")).status, "succeeded");
  assert.equal(sent.length, 14);
});

test("a page of a proxy is an error with its status", async () => {
  const { client } = scripted([new Response("<p>no</p>", { status: 500 })]);
  await assert.rejects(client.get("gen_1"), { code: "http_500", status: 500 });
  const other = scripted([new Response("<p>hello</p>", { headers: { "Content-Type": "text/html" } })]);
  await assert.rejects(other.client.wait("gen_1"), { code: "http_200", status: 200 });
});

const IS_FOREIGN = { name: "ApiError", code: "http_200", requestId: "req_1", message: /returned 200 .*base URL right/ };
const foreign = (body, type = "application/json") =>
  new Response(body, { headers: { "Content-Type": type, "X-Request-Id": "req_1" } });

test("an answer that is no JSON, or another service's, is an error with its request", async () => {
  const calls = [
    (client) => client.get("gen_1"),
    (client) => client.submit({ prompt: "a frog" }),
    (client) => client.estimate({ prompt: "a frog" }),
    (client) => client.list(),
    (client) => client.upload(new Uint8Array(3)),
  ];
  for (const body of ['{"id": "ge', "<p>hello</p>", "null", '{"status": "ok"}', '{"data": [1]}']) {
    for (const call of calls) {
      const { client, sent } = scripted([foreign(body)]);
      await assert.rejects(call(client), IS_FOREIGN, `${body} ${call}`);
      assert.equal(sent.length, 1);
    }
  }
  const { client } = scripted([json({ ...JOB, images: ["a"] })]);
  await assert.rejects(client.get("gen_1"), { code: "http_200" });
  for (const answer of [foreign("{"), foreign("<p>hello</p>", "text/html; charset=utf-8")]) {
    const { client } = scripted([answer]);
    const called = operations.listModels({ client: client.api, throwOnError: true });
    await assert.rejects(called, IS_FOREIGN, "of a generated function too");
  }
});

test("an id that no path can have is refused before it is sent", async () => {
  const { client, sent } = scripted([json(JOB)]);
  for (const id of ["", ".", "..", "gen_\ud800"]) {
    for (const call of ["get", "wait", "cancel", "delete"]) {
      await assert.rejects(client[call](id), { name: "LatentryError", code: "invalid_request", message: /is not an id/ });
    }
    await assert.rejects(client.events(id).next(), { code: "invalid_request" });
  }
  assert.equal(sent.length, 0);
});

test("a list of no states does not list all jobs", async () => {
  const { client, sent } = scripted([json({ data: [JOB] })]);
  await assert.rejects(client.list({ status: [] }), { code: "invalid_request", message: /^status: / });
  await assert.rejects(client.listAll({ status: [] }).next(), { code: "invalid_request" });
  assert.equal(sent.length, 0);
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
const events = (text) => new Response(text, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });

test("a stream that breaks off goes on after the last durable event", async () => {
  const { client, sent } = scripted([
    events(": ping\n\n" + event("queued", "1-0") + event("step", null) + "event: run"),
    events(event("running", "2-0") + event("succeeded", "3-0", { job: JOB })),
  ]);
  const seen = [];
  for await (const one of client.events("gen_1")) seen.push(one.type);
  assert.deepEqual(seen, ["queued", "step", "running", "succeeded"]);
  assert.deepEqual(
    sent.map((request) => request.headers.get("Last-Event-ID")),
    [null, "1-0"],
  );
});

test("a damaged event is an error with the stream's request", async () => {
  const image = '{"type": "image", "image": "a"}';
  for (const data of ["{", "<p>", "null", "{}", image, '{"type": "succeeded", "job": {"id": "gen_1"}}']) {
    const { client, sent } = scripted([foreign(`data: ${data}\n\n`, "text/event-stream")]);
    await assert.rejects(client.events("gen_1").next(), IS_FOREIGN, data);
    assert.equal(sent.length, 1);
  }
});

test("a followed job that fails is an error", async () => {
  const failed = { ...JOB, status: "failed", error: { code: "out_of_memory", message: "No room." } };
  const { client } = scripted([json(JOB, 202), events(event("failed", "3-0", { job: failed }))]);
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

/** An answer whose body breaks off, in the middle of whatever it says. */
const broken = (said = "") => ({
  clone: () =>
    new Response(
      new ReadableStream({
        pull(to) {
          if (said) to.enqueue(new TextEncoder().encode(said));
          to.error(new TypeError("terminated"));
        },
      }),
    ),
});

/** An answer that says no more, until the caller is gone. */
const stalled = () => ({ clone: () => new Response(new ReadableStream()) });

test("a response that breaks off or stalls is asked for again", async () => {
  for (const answer of [broken("PN"), stalled()]) {
    const { client } = scripted([answer, new Response("PNG")], { timeout: 0.01 });
    assert.equal(Buffer.from(await client.download("/v1/files/a.png")).toString(), "PNG");
  }
  const { client, sent } = scripted([broken('{"id": "ge'), json(JOB, 202)]);
  assert.equal((await client.submit({ prompt: "a frog" })).id, "gen_1");
  assert.equal(new Set(sent.map((request) => request.headers.get("Idempotency-Key"))).size, 1);
});

test("an image that always breaks off is a service that does not respond", async () => {
  const { client, sent } = scripted([broken()]);
  await assert.rejects(client.download("/v1/files/a.png"), (error) => {
    assert.ok(error instanceof Unreachable);
    assert.match(error.message, /terminated/);
    return true;
  });
  assert.equal(sent.length, 5);
});

const IMAGE = { index: 0, seed: 7, url: "http://latentry.test/v1/files/t/gen_1/0.png?sig=1" };
const STEP = { ...IMAGE, kind: "latent", name: "latent-0005", url: "https://bucket.test/0-5.png?sig=1" };
const MADE = { ...JOB, images: [IMAGE], outputs: [STEP] };
const RENEWED = JSON.parse(JSON.stringify(MADE).replaceAll("sig=1", "sig=2"));
const gone = (status) => problem(status, "link_refused");

test("an image of a job is read though its URL has expired", async () => {
  const sources = {
    get: async (client) => client.get("gen_1"),
    wait: async (client) => client.wait("gen_1"),
    list: async (client) => (await client.list()).data[0],
  };
  for (const [method, take] of Object.entries(sources)) {
    for (const status of [403, 404, 410]) {
      for (const of of ["images", "outputs"]) {
        const first = method === "list" ? json({ data: [MADE] }) : json(MADE);
        const { client, sent } = scripted([first, gone(status), json(RENEWED), new Response("PNG")]);
        const [image] = (await take(client))[of];
        assert.equal(Buffer.from(await client.download(image)).toString(), "PNG");
        assert.deepEqual(
          sent.slice(1).map((request) => request.url),
          [image.url, "http://latentry.test/v1/generations/gen_1", image.url.replace("sig=1", "sig=2")],
        );
      }
    }
  }
});

test("so is one of an event", async () => {
  const stream = event("image", "1-0", { image: IMAGE }) + event("succeeded", "2-0", { job: MADE });
  const { client } = scripted([events(stream), gone(403), json(RENEWED), new Response("PNG")]);
  for await (const { image } of client.events("gen_1")) {
    if (image) assert.equal(Buffer.from(await client.download(image)).toString(), "PNG");
  }
});

test("an expired URL that nothing renews stays a refusal", async () => {
  const cases = [
    [json(MADE), gone(403), json(MADE)], // the job has no other URL
    [json(MADE), gone(403), json({ ...RENEWED, images: [] })],
  ];
  for (const answers of cases) {
    const { client } = scripted([...answers, new Response("PNG")]);
    const { images } = await client.get("gen_1");
    await assert.rejects(client.download(images[0]), { code: "link_refused", status: 403 });
  }
  for (const image of [IMAGE.url, { ...IMAGE }]) {
    const { client, sent } = scripted([gone(403)]);
    await assert.rejects(client.download(image), { code: "link_refused" });
    assert.equal(sent.length, 1);
  }
  const { client, sent } = scripted([json(MADE), problem(400, "x")]);
  await assert.rejects(client.download((await client.get("gen_1")).images[0]), { code: "x" });
  assert.equal(sent.length, 2);
});

test("an output without a picture says why", async () => {
  const error = { code: "unsafe_image", message: "A rule refused it." };
  const { client, sent } = scripted([new Response("<p>hello</p>")]);
  await assert.rejects(client.download({ ...STEP, url: "", error }), { code: "unsafe_image" });
  await assert.rejects(client.download({ ...IMAGE, url: "" }), { code: "job_failed" });
  assert.equal(sent.length, 0);
});

test("a caller's signal ends every call, and its reason is thrown", async () => {
  const calls = {
    submit: (client, options) => client.submit({ prompt: "a" }, options),
    generate: (client, options) => client.generate({ prompt: "a" }, options),
    interpolate: (client, options) => client.interpolate({ from: {}, to: {}, frames: 2 }, options),
    clip: (client, options) => client.clip({ prompt: "a" }, options),
    upscale: (client, options) => client.upscale({ image: "file_1" }, options),
    control: (client, options) => client.control({ image: "file_1", preprocess: "canny" }, options),
    caption: (client, options) => client.caption({ image: "file_1" }, options),
    estimate: (client, options) => client.estimate({ prompt: "a" }, options),
    get: (client, options) => client.get("gen_1", options),
    wait: (client, options) => client.wait("gen_1", options),
    cancel: (client, options) => client.cancel("gen_1", options),
    delete: (client, options) => client.delete("gen_1", options),
    list: (client, options) => client.list({}, options),
    listAll: (client, options) => client.listAll({}, options).next(),
    upload: (client, options) => client.upload(new Uint8Array(3), options),
    download: (client, options) => client.download("/v1/files/a.png", options),
    events: (client, options) => client.events("gen_1", options).next(),
    stream: (client, options) => client.stream({ prompt: "a" }, options).next(),
  };
  const methods = Object.getOwnPropertyNames(Latentry.prototype).filter((name) => !["constructor", "api"].includes(name));
  assert.deepEqual(Object.keys(calls).sort(), methods.sort());
  for (const [name, call] of Object.entries(calls)) {
    const enough = new AbortController();
    let sent = 0;
    const fetch = (_, { signal }) => {
      sent += 1;
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        enough.abort(new Error("enough"));
      });
    };
    const client = new Latentry({ baseUrl: "http://latentry.test", fetch });
    await assert.rejects(call(client, { signal: enough.signal }), /enough/, name);
    assert.equal(sent, 1, name);
  }
});

test("a signal ends a download in its body, and a pause between attempts", async () => {
  const reading = new AbortController();
  const fetch = async (_, { signal }) =>
    new Response(
      new ReadableStream({
        start(to) {
          to.enqueue(new Uint8Array(3));
          signal.addEventListener("abort", () => to.error(signal.reason));
          setImmediate(() => reading.abort(new Error("enough")));
        },
      }),
    );
  const client = new Latentry({ baseUrl: "http://latentry.test", fetch });
  await assert.rejects(client.download("/v1/files/a.png", { signal: reading.signal }), /enough/);
  const { client: busy } = scripted([problem(503, "queue_full", { "Retry-After": "20" })]);
  const pausing = new AbortController();
  const ended = assert.rejects(busy.get("gen_1", { signal: pausing.signal }), /enough/);
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate); // it pauses by then
  const aborted = Date.now();
  pausing.abort(new Error("enough"));
  await ended;
  assert.ok(Date.now() - aborted < 10_000, "and not after its 20 s");
});

test("a large image may take longer than a response, as long as it comes", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const fetch = async (_, { signal }) => {
    let left = 3;
    return new Response(
      new ReadableStream({
        pull(to) {
          t.mock.timers.tick(20_000);
          if (signal.aborted) to.error(signal.reason);
          else if (left-- > 0) to.enqueue(new Uint8Array(3));
          else to.close();
        },
      }),
    );
  };
  const client = new Latentry({ baseUrl: "http://latentry.test", fetch, retries: { attempts: 1 }, timeout: 30 });
  assert.equal((await client.download("/v1/files/a.png")).length, 9);
});

test("sending a large picture is no part of the time until a response", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sending = (seconds) => async (_, { signal }) => {
    t.mock.timers.tick(seconds * 1000);
    signal.throwIfAborted();
    return json({ id: "file_1" });
  };
  const picture = new Uint8Array(4 * 2 ** 20); // a minute of a slow line
  const over = (seconds) =>
    new Latentry({ baseUrl: "http://latentry.test", fetch: sending(seconds), retries: { attempts: 1 }, timeout: 30 });
  assert.equal((await over(90).upload(picture)).id, "file_1");
  await assert.rejects(over(100).upload(picture), { name: "Unreachable", message: /no response within 94 s/ });
});

test("no timer is left behind", async () => {
  const { client } = scripted([problem(503, "x"), json({ ...JOB, status: "running" }), json(JOB)]);
  await client.wait("gen_1", { timeout: 60 });
  const { client: streamed } = scripted([events(event("succeeded", "1-0", { job: JOB }))]);
  for await (const _ of streamed.events("gen_1"));
  assert.deepEqual(process.getActiveResourcesInfo().filter((name) => name === "Timeout"), []);
});

test("a timeout bounds a submission's attempts, and the wait after it has what is left", async () => {
  const busy = problem(503, "queue_full", { "Retry-After": "20" });
  for (const bound of [{ timeout: 5 }, { request: { start_within: 5 } }, { request: { finish_within: 5 } }]) {
    const { client, sent } = scripted([busy]);
    const { request = {}, ...options } = bound;
    await assert.rejects(client.generate({ prompt: "a", ...request }, options), { code: "queue_full" });
    assert.equal(sent.length, 1);
  }
  const { client, sent } = scripted([json({ ...JOB, status: "running" })]);
  await assert.rejects(client.generate({ prompt: "a" }, { timeout: 0 }), { name: "StillRunning" });
  assert.equal(new URL(sent.at(-1).url).searchParams.get("wait"), "0");
});

test("a wait asks a service that hangs for no longer than it may", async () => {
  const hangs = (_, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const client = new Latentry({ baseUrl: "http://latentry.test", fetch: hangs, retries: AT_ONCE });
  const started = Date.now();
  await assert.rejects(client.wait("gen_1", { timeout: 0 }), Unreachable);
  assert.ok(Date.now() - started < 10_000, "and not five times 30 s");
});

test("a wait that the service asks to pause for too long ends", async () => {
  const { client, sent } = scripted([problem(503, "x", { "Retry-After": "3600" })], { retries: { first: 0 } });
  await assert.rejects(client.wait("gen_1"), { code: "x", retryAfter: 3600 });
  assert.equal(sent.length, 1);
});

test("a timeout without a bound, or a long one, is no short one", async () => {
  const warned = [];
  process.on("warning", (warning) => warned.push(warning.name));
  for (const timeout of [Infinity, 10 ** 9]) {
    const { client, sent } = scripted([json({ ...JOB, status: "running" }), json(JOB)], { timeout });
    await client.wait("gen_1", { timeout });
    assert.equal(sent.length, 2);
  }
  await new Promise(setImmediate);
  assert.deepEqual(warned, [], "Node sets a timer that overflows to a millisecond");
});

test("a stream that is cut between pings goes on, and one that never speaks ends", async () => {
  const quiet = Array(8).fill(events(": ping\n\n"));
  const { client } = scripted([...quiet, events(event("succeeded", "1-0", { job: JOB }))]);
  const seen = [];
  for await (const one of client.events("gen_1")) seen.push(one.type);
  assert.deepEqual(seen, ["succeeded"]);
  const mute = scripted([events("")]);
  await assert.rejects(mute.client.events("gen_1").next(), Unreachable);
});

test("a page instead of a stream is an error with its status", async () => {
  const page = new Response("<p>Log in.</p>", { headers: { "Content-Type": "text/html" } });
  const { client, sent } = scripted([page, events(event("succeeded", "1-0", { job: JOB }))]);
  await assert.rejects(client.events("gen_1").next(), { name: "ApiError", code: "http_200" });
  assert.equal(sent.length, 1);
});

test("a stream outlasts a restart of the service", async () => {
  const answers = [
    events(event("queued", "1-0")),
    ...Array(7).fill(new TypeError("refused")),
    problem(503, "shutting_down"),
    events(event("succeeded", "2-0", { job: JOB })),
  ];
  const { client, sent } = scripted(answers, { retries: { first: 0 } });
  const seen = [];
  for await (const one of client.events("gen_1")) seen.push(one.type);
  assert.deepEqual(seen, ["queued", "succeeded"]);
  assert.equal(sent.at(-1).headers.get("Last-Event-ID"), "1-0");
});

test("a base URL that is refused is named without its password", () => {
  for (const baseUrl of ["http://ada:hush@host:port", "ftp://ada:hush@host", "ada:hush@host", "http://ada:hu@sh@"]) {
    assert.throws(() => new Latentry({ baseUrl }), (error) => {
      assert.equal(error.code, "configuration");
      assert.doesNotMatch(error.message, /ada|hu|\bsh/);
      return true;
    });
  }
});
