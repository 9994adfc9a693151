// Upload progress: how much of each file is uploaded, and at what speed.

const SPEED_WINDOW_MS = 5_000;  // the speed is the average of the last seconds
const MIN_MEASURED_MS = 200;
const STALLED_MS = 10_000;

/**
 * Return the uploaded bytes of each file. The files follow one another in the multipart body;
 * the few hundred bytes around them (headers, boundaries) are taken as evenly distributed.
 */
export function uploadedPerFile(sizes, loaded, total) {
  const overhead = (total - sizes.reduce((sum, size) => sum + size, 0)) / (sizes.length + 1);
  let start = 0;
  return sizes.map((size) => {
    start += overhead;
    const uploaded = Math.min(Math.max(loaded - start, 0), size);
    start += size;
    return uploaded;
  });
}

export class SpeedMeter {
  #samples = [];  // {loaded, time in ms}

  record(loaded, time) {
    if (loaded !== this.#samples.at(-1)?.loaded) this.#samples.push({ loaded, time });
    while (this.#samples.length > 2 && this.#samples[1].time < time - SPEED_WINDOW_MS) {
      this.#samples.shift();
    }
  }

  /** 0 while there are too few samples. */
  bytesPerSecond() {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    const elapsed = last ? last.time - first.time : 0;
    return elapsed < MIN_MEASURED_MS ? 0 : ((last.loaded - first.loaded) * 1000) / elapsed;
  }

  isStalled(time) {
    return this.#samples.length > 0 && time - this.#samples.at(-1).time > STALLED_MS;
  }
}
