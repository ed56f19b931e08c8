/** How the client reaches the service: its address, its key, and what every call has in common. */

import { createClient, createConfig, type Client } from "./generated/client/index.js";
import { bodyOf, sound } from "./answers.js";
import { ApiError, LatentryError } from "./errors.js";
import { RETRIES, retrying, timed, type Retries, type Send } from "./retries.js";

export interface Options {
  /** Where the service is; http://127.0.0.1:8000 if omitted. */
  baseUrl?: string | undefined;
  /** `ltk_…`; it is sent to the service only, never to storage. */
  apiKey?: string | undefined;
  /** How calls are repeated. */
  retries?: Partial<Retries> | undefined;
  /**
   * Seconds until a response begins, and between its parts; besides those that the service may hold
   * it, and one for each 64 KiB that are sent.
   */
  timeout?: number | undefined;
  /** Another `fetch`, such as one through a proxy. */
  fetch?: typeof globalThis.fetch | undefined;
}

export class Http {
  /** What the generated functions go through. */
  readonly api: Client;
  readonly retries: Retries;
  readonly #baseUrl: string;
  readonly #apiKey: string | undefined;
  readonly #send: Send;

  constructor(options: Options) {
    this.#baseUrl = (options.baseUrl ?? "http://127.0.0.1:8000").replace(/\/+$/, "");
    if (!/^https?:\/\/./.test(this.#baseUrl) || !URL.canParse(this.#baseUrl)) {
      const shown = withoutCredentials(this.#baseUrl);
      const message = `The base URL ${shown} is invalid; use one such as http://127.0.0.1:8000.`;
      throw new LatentryError(message, "configuration");
    }
    const { username, password } = new URL(this.#baseUrl);
    if (username || password) {
      const message = "The base URL has a user name or a password, which fetch refuses; use apiKey.";
      throw new LatentryError(message, "configuration");
    }
    if (options.apiKey && !/^[!-~]+$/.test(options.apiKey)) {
      throw new LatentryError("The API key must be printable ASCII without spaces.", "configuration");
    }
    this.#apiKey = options.apiKey;
    const timeout = options.timeout ?? 30;
    if (!(timeout > 0)) {
      const message = `timeout must be more than 0 seconds, not ${timeout}.`;
      throw new LatentryError(message, "configuration"); // NaN is not
    }
    this.retries = { ...RETRIES, ...options.retries };
    const { attempts, first, longest, outage } = this.retries;
    if (!(attempts >= 1 && [first, longest, outage].every((seconds) => seconds >= 0))) {
      const message = "retries need 1 attempt or more, and 0 or more seconds.";
      throw new LatentryError(message, "configuration");
    }
    const once = timed(options.fetch ?? globalThis.fetch, timeout);
    this.#send = retrying(once, this.retries);
    const [baseUrl, auth] = [this.#baseUrl, options.apiKey];
    this.api = createClient(createConfig({ baseUrl, auth, fetch: this.#send }));
    this.api.interceptors.response.use(sound);
    this.api.interceptors.error.use((error, response) => {
      return error instanceof Error || !response ? error : ApiError.of(response, error);
    });
  }

  /** The `fetch` of one call, whose response is of no use after so many seconds. */
  within(seconds: number): typeof globalThis.fetch {
    return (input, init) => this.#send(input, init, seconds);
  }

  /** Sends a request to the service, or to its storage, which never sees the key. */
  async send(url: string, init: RequestInit = {}): Promise<Response> {
    const absolute = new URL(/^https?:/.test(url) ? url : this.#baseUrl + url);
    const headers = new Headers(init.headers);
    if (this.#apiKey && absolute.origin === new URL(this.#baseUrl).origin) {
      headers.set("Authorization", `Bearer ${this.#apiKey}`);
    }
    const response = await this.#send(absolute, { ...init, headers });
    if (!response.ok) throw ApiError.of(response, await bodyOf(response));
    return response;
  }
}

/** All but what stands before the last `@`, even if the text is no URL. */
function withoutCredentials(url: string): string {
  const at = url.lastIndexOf("@");
  return at < 0 ? url : (/^[^@]*?:\/\//.exec(url)?.[0] ?? "") + url.slice(at + 1);
}
