// Values kept in the browser's session or local storage. Where storage is blocked or full, a
// variable keeps the value until the page is reloaded.

/** One key of "sessionStorage" or "localStorage": get() returns null when nothing is stored. */
export function storedValue(area, key) {
  let fallback = null;
  return {
    get() {
      try {
        return globalThis[area].getItem(key) ?? fallback;
      } catch {
        return fallback;
      }
    },
    set(value) {
      fallback = value;
      try {
        if (value === null) globalThis[area].removeItem(key);
        else globalThis[area].setItem(key, value);
      } catch {
        // blocked or full
      }
    },
  };
}
