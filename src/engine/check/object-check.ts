/** All objects but containers and manifests' content: sessions, tombstones, lists of condemned containers, and sidecars with what they protect. */
import { HoldfastError, NotFoundError, checkLimit, readObject, type Limits, type ObjectStore } from '../../core/index.ts';
import { listGenerations, readCondemned, readRelocations, readReprieved } from '../gc/condemned.ts';
import { hasObject } from '../objects/index.ts';
import { isLasting, PARITY_DIRECTORY, verifySidecar, verifyWithParity } from '../parity/index.ts';
import { listSessions, readSession } from '../repository/session.ts';
import { listTombstones, readTombstone } from '../snapshots/manifest.ts';
import type { ProblemSink } from './problem.ts';

/** What objects are checked with. */
export interface ObjectCheckParts {
  readonly objects: ObjectStore;
  /** The same as they are stored, sealed if so: sidecars are of those bytes. */
  readonly stored: ObjectStore;
  readonly limits: Limits;
  readonly report: ProblemSink;
  /** Names of objects that are about to go: they may be gone before their sidecars. */
  isDoomed(name: string): boolean;
}

/** Runs `read`; what it throws is a problem, but for an object that is gone. */
async function examine(report: ProblemSink, kind: string, where: string, read: () => Promise<unknown>): Promise<void> {
  try {
    await read();
  } catch (error) {
    if (error instanceof NotFoundError) return;
    report(kind, where, error);
  }
}

async function checkLists({ objects, limits, report }: ObjectCheckParts): Promise<void> {
  for (const generation of await listGenerations(objects, 'condemned')) {
    await examine(report, 'damaged-list', `condemned list ${generation}`, async () => {
      for (const row of (await readCondemned(objects, generation, limits)).relocated) {
        await readRelocations(objects, row).catch((error: unknown) => { report('damaged-list', `object ${row.name}`, error); });
      }
    });
  }
  for (const generation of await listGenerations(objects, 'reprieved')) {
    await examine(report, 'damaged-list', `reprieved list ${generation}`, () => readReprieved(objects, generation, limits));
  }
}

/** Names of all objects that have a sidecar. */
export async function* protectedNames(objects: ObjectStore): AsyncIterable<string> {
  for await (const page of objects.list(PARITY_DIRECTORY)) for (const { name } of page) yield name.slice(PARITY_DIRECTORY.length + 1);
}

/** Whether an object is gone; one that has left its parity is reported. Who removes an object removes its parity first. */
async function isGone({ stored: objects, report, isDoomed }: ObjectCheckParts, name: string): Promise<boolean> {
  if (await hasObject(objects, name)) return false;
  if (!isDoomed(name) && await hasObject(objects, `${PARITY_DIRECTORY}/${name}`)) report('missing-object', `object ${name}`, 'It is gone, but its parity is there: see --repair');
  return true;
}

async function checkProtected(parts: ObjectCheckParts, name: string, readData: boolean): Promise<void> {
  const { stored: objects, limits, report } = parts;
  if (await isGone(parts, name)) return;
  if (isLasting(name)) {
    const { state } = await verifyWithParity(objects, name, limits);
    if (state !== 'sound' && await isGone(parts, name)) return; // since a moment ago
    if (state === 'damaged' || state === 'beyond-repair') {
      report('damaged-object', `object ${name}`, `Its bytes are not those that were written; ${state === 'damaged' ? 'parity can heal it (--repair)' : 'its parity does not suffice to heal it'}`);
    }
  } else if (!readData) return;
  const sidecar = await verifySidecar(objects, name, limits);
  if (await isGone(parts, name)) return; // its sidecar may have gone while it was read
  if (sidecar === 'absent' || (typeof sidecar !== 'string' && sidecar.state === 'sound')) return;
  report('damaged-parity', `object ${PARITY_DIRECTORY}/${name}`, `The sidecar is damaged (${typeof sidecar === 'string' ? sidecar : `${sidecar.damagedParityBlocks} blocks`}); --repair makes it again`);
}

/** Checks them all; with `readData`, sidecars of containers as well. */
export async function checkObjects(parts: ObjectCheckParts, readData: boolean): Promise<void> {
  const { objects, stored, limits, report } = parts;
  for (const { id } of await listSessions(objects)) await examine(report, 'damaged-session', `session ${id.slice(0, 12)}`, () => readSession(objects, id, limits));
  for (const id of await listTombstones(objects)) {
    await examine(report, 'damaged-tombstone', `tombstone ${id.slice(0, 12)}`, () => readTombstone(objects, id, limits));
  }
  await checkLists(parts);
  for await (const name of protectedNames(stored)) {
    try {
      await checkProtected(parts, name, readData);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      report('damaged-object', `object ${name}`, error);
    }
  }
}

/** Reads an object that is no larger than a manifest may be. @throws {LimitError} */
export function readSmall(objects: Pick<ObjectStore, 'open'> & ObjectStore, name: string, limits: Limits): Promise<Uint8Array> {
  return readObject(objects, name, (size) => { checkLimit(limits, 'manifestBytesMax', size, `object '${name}'`); });
}
