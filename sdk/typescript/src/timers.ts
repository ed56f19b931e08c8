/** Time limits, which leave no timer behind. */

// The longest that a timer can be set to; a longer one would end at once.
const MOST_MS = 2 ** 31 - 1;

/** Nothing came in time; as a lost connection it is a TypeError. */
export class Silent extends TypeError {}

/** A timer, to be given to clearTimeout. */
export function after(seconds: number, ring: () => void): ReturnType<typeof setTimeout> {
  return setTimeout(ring, Math.min(seconds * 1000, MOST_MS));
}

/** Resolves after so many seconds; rejects at once if the signal is aborted. */
export function sleep(seconds: number, signal?: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = after(seconds, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** What a promise gives. Throws Silent if that takes longer than so many seconds. */
export async function soon<T>(promise: Promise<T>, seconds: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = after(seconds, () => reject(new Silent(`nothing for ${seconds} s`)));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
