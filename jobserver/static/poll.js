// Asking again and again, without hammering: quickly while things move, ever slower while
// nothing does, not at all in a hidden tab, at once when the tab is seen or the net is back.

const RUNNING = { first: 3_000, last: 15_000 };  // ms between answers and the next question
const RESTING = { first: 15_000, last: 60_000 };
const FAILING = { first: 2_000, last: 30_000 };
const SLOWER = 1.5;

export class Poller {
  #ask;
  #onError;
  #timer = null;
  #round = 0;  // an answer of an earlier round is not listened to
  #running = false;
  #pace = { kind: null, delay: 0 };

  /**
   * ask: resolves to {changed, active}; active while something is being worked on.
   * onError: is given what `ask` raised, and null once it goes well again; returns false to stop.
   */
  constructor(ask, onError) {
    this.#ask = ask;
    this.#onError = onError;
    document.addEventListener("visibilitychange", () => this.#look());
    window.addEventListener("online", () => this.#look());
  }

  /** Begin, and ask at once. */
  start() {
    this.#running = true;
    this.#pace = { kind: null, delay: 0 };
    this.#look();
  }

  stop() {
    this.#running = false;
    this.#look();
  }

  /** If it is running: ask at once, and as quickly as in the beginning. */
  again() {
    if (this.#running) this.start();
  }

  #look() {
    clearTimeout(this.#timer);
    this.#round += 1;
    if (this.#running && !document.hidden) this.#turn(this.#round);
  }

  async #turn(round) {
    const [kind, changed] = await this.#outcome(round);
    if (round !== this.#round) return;
    const afresh = changed || this.#pace.kind !== kind;
    const delay = afresh ? kind.first : Math.min(this.#pace.delay * SLOWER, kind.last);
    this.#pace = { kind, delay };
    this.#timer = setTimeout(() => this.#turn(round), delay);
  }

  async #outcome(round) {
    try {
      const { changed, active } = await this.#ask();
      if (round === this.#round) this.#onError(null);
      return [active ? RUNNING : RESTING, changed];
    } catch (error) {
      if (round === this.#round && this.#onError(error) === false) this.stop();
      return [FAILING, false];
    }
  }
}
