/** What methods of the client take besides what they are called with. All times are seconds. */

export interface Calling {
  /** Ends the call: its reason is thrown. A job that was accepted goes on. */
  signal?: AbortSignal | undefined;
}

export interface Waiting extends Calling {
  /** Seconds until StillRunning is thrown; for ever if omitted. The job goes on. */
  timeout?: number | undefined;
}

export interface Submitting extends Calling {
  /** The same key again gives the same job; made if omitted. */
  idempotencyKey?: string | undefined;
}
