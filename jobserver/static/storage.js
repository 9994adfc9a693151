// What the browser keeps for the page; where it may keep nothing, a variable does, until reload.

/** One key of an area, "sessionStorage" or "localStorage": get() is null when there is nothing. */
export function kept(area, key) {
  let here = null;
  return {
    get() {
      try {
        return globalThis[area].getItem(key) ?? here;
      } catch {
        return here;
      }
    },
    set(value) {
      here = value;
      try {
        if (value === null) globalThis[area].removeItem(key);
        else globalThis[area].setItem(key, value);
      } catch {
        // forbidden or full
      }
    },
  };
}
