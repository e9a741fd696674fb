/** One thing after the other; of those that share a key only the newest waits. */

/**
 * @param {(error: Error) => void} report
 * @param {(busy: boolean) => void} tell
 * @returns {(action: () => unknown, key?: string) => void}
 */
export function makeQueue(report, tell) {
  const waiting = [];
  let running = false;
  const work = async () => {
    if (running) return;
    running = true;
    tell(true);
    while (waiting.length) {
      try {
        await waiting.shift().action();
      } catch (error) {
        report(error);
      }
    }
    running = false;
    tell(false);
  };
  return (action, key) => {
    const same = key === undefined ? -1 : waiting.findIndex((other) => other.key === key);
    if (same >= 0) waiting.splice(same, 1);
    waiting.push({ action, key });
    work();
  };
}
