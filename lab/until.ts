/** Waiting for what other processes do. */

const START_MS = 30_000;
const STEP_MS = 50;

/** Waits until something holds. @throws {Error} it does not within the time. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, milliseconds: number = START_MS): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`Wait until ${what}: it took longer than ${milliseconds} ms`);
    await new Promise((resolve) => { setTimeout(resolve, STEP_MS); });
  }
}
