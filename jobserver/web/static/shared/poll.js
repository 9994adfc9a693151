// Polling with backoff: at short intervals while data changes, at growing intervals while it
// does not or the server fails. Never in a hidden tab; at once when the tab is shown again or
// the browser is back online.

// ms between a response and the next request
const ACTIVE = { first: 3_000, longest: 15_000 };
const IDLE = { first: 15_000, longest: 60_000 };
const FAILING = { first: 2_000, longest: 30_000 };
const BACKOFF_FACTOR = 1.5;

export class Poller {
  #poll;
  #onResult;
  #timer = null;
  #generation = 0;  // responses to requests of an earlier generation are ignored
  #running = false;
  #backoff = { intervals: null, delay: 0 };

  /**
   * poll: resolves to {changed, active}; active while something is queued or processing.
   * onResult: called with the error of each failed poll, with null after each success; returns
   * false to stop.
   */
  constructor(poll, onResult) {
    this.#poll = poll;
    this.#onResult = onResult;
    document.addEventListener("visibilitychange", () => this.#restart());
    window.addEventListener("online", () => this.#restart());
  }

  /** Start polling, the first time at once. */
  start() {
    this.#running = true;
    this.#backoff = { intervals: null, delay: 0 };
    this.#restart();
  }

  stop() {
    this.#running = false;
    this.#restart();
  }

  /** If it is running: poll at once and reset the backoff. */
  pollNow() {
    if (this.#running) this.start();
  }

  #restart() {
    clearTimeout(this.#timer);
    this.#generation += 1;
    if (this.#running && !document.hidden) this.#pollAndSchedule(this.#generation);
  }

  async #pollAndSchedule(generation) {
    const [intervals, changed] = await this.#pollOnce(generation);
    if (generation !== this.#generation) return;
    const reset = changed || this.#backoff.intervals !== intervals;
    const delay = reset ? intervals.first
      : Math.min(this.#backoff.delay * BACKOFF_FACTOR, intervals.longest);
    this.#backoff = { intervals, delay };
    this.#timer = setTimeout(() => this.#pollAndSchedule(generation), delay);
  }

  async #pollOnce(generation) {
    try {
      const { changed, active } = await this.#poll();
      if (generation === this.#generation) this.#onResult(null);
      return [active ? ACTIVE : IDLE, changed];
    } catch (error) {
      if (generation === this.#generation && this.#onResult(error) === false) this.stop();
      return [FAILING, false];
    }
  }
}
