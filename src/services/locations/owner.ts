/** Who closes what: things that end together, the last one first, also when opening them failed halfway. */

/** What can be closed. */
export interface Closable {
  close(): Promise<void>;
}

/** Things that end together. */
export class Owner implements Closable {
  readonly #things: Closable[] = [];

  /** Takes a thing over; it is then closed with the others. @returns the same thing. */
  own<T extends Closable>(thing: T): T {
    this.#things.push(thing);
    return thing;
  }

  /** Closes all, the last one first; one that fails does not keep the others open. A second call has nothing to do. @throws the first failure. */
  async close(): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    for (const thing of this.#things.splice(0).reverse()) {
      try {
        await thing.close();
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  }
}

/** Runs what opens several things. When it fails, those that it gave to `owner` are closed; else they are the caller's, through what it returns. @throws what `open` throws. */
export async function owning<T>(open: (owner: Owner) => Promise<T>): Promise<T> {
  const owner = new Owner();
  try {
    return await open(owner);
  } catch (error) {
    // Why opening failed is worth more than why closing did.
    await owner.close().catch(() => undefined);
    throw error;
  }
}
