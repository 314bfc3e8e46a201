/** Work on many entries of a directory, of which most need no waiting. */

/** Adds results until one is not at hand: that one. A plain loop, which V8 optimises several times sooner than one in an asynchronous function. */
function fill<T, R>(results: R[], items: readonly T[], work: (item: T) => R | Promise<R>): Promise<R> | undefined {
  while (results.length < items.length) {
    const result = work(items[results.length] as T);
    if (result instanceof Promise) return result;
    results.push(result);
  }
  return undefined;
}

/** What `work` makes of each item, one after the other; a promise is waited for only where it returns one. @throws what it throws. */
export async function inTurn<T, R>(items: readonly T[], work: (item: T) => R | Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (let waiting = fill(results, items, work); waiting !== undefined; waiting = fill(results, items, work)) results.push(await waiting);
  return results;
}
