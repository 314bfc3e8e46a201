/** Looks at a store from below: what the index says, what lies on the disk. */
import { createHash } from 'node:crypto';
import { ID_BYTES, decodePlace, type ChunkPlace } from '../../src/core/index.ts';
import { Violation, promised } from './bench.ts';
import type { Repository } from './engine-types.ts';
import type { Machine } from './machine.ts';

/**
 * Ids that the index has a place for and that are there, with digests of their bytes: read through the index, so that a wrong place shows.
 * @throws {Violation} an entry leads to wrong bytes, or to none without a list of condemned containers that says why.
 */
export async function readableChunks(machine: Machine, repository: Repository): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const condemned = condemnedNumbers(machine);
  const isSealed = hasKeys(machine); // then only the engine can read its lists
  for await (const { ids, places } of repository.index.scan()) {
    for (let i = 0; i < ids.count; i += 1) {
      const id = Buffer.from(ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES));
      const place = decodePlace(places, i);
      const container = numberText(place);
      if ((condemned.has(container) || (isSealed && repository.dead.has(place.containerHigh, place.containerLow))) && !machine.disk.files.includes(fileOf(container))) continue; // the list says why it is gone
      found.set(id.toString('hex'), await digestAt(repository, place, id));
    }
  }
  return found;
}

/** Reads the chunk at a place, whatever the index says elsewhere. @throws {Violation} another chunk is there, or none. */
async function digestAt(repository: Repository, place: ChunkPlace, id: Uint8Array): Promise<string> {
  const what = 'I2 the index points at good bytes';
  const group = await promised(what, () => repository.store.groups.acquire(place));
  try {
    const { ordinal } = place;
    const there = group.ids.subarray(ordinal * ID_BYTES, (ordinal + 1) * ID_BYTES);
    if (ordinal >= group.count || group.bad.has(ordinal) || Buffer.compare(there, id) !== 0) {
      throw new Violation(what, `chunk '${Buffer.from(id).toString('hex')}' is not at '${JSON.stringify(place)}'`);
    }
    return createHash('sha256').update(group.block.bytes.subarray(group.offsets[ordinal], group.offsets[ordinal + 1])).digest('hex');
  } finally {
    repository.store.groups.release(group);
  }
}

function numberText({ containerHigh, containerLow }: ChunkPlace): string {
  return containerHigh.toString(16).padStart(8, '0') + containerLow.toString(16).padStart(8, '0');
}

function fileOf(container: string): string {
  return `containers/${container.slice(0, 2)}/${container}.hfc`;
}

function hasKeys(machine: Machine): boolean {
  return machine.disk.files.some((name) => name.startsWith('keys/'));
}

/** Numbers in all lists of condemned containers. */
function condemnedNumbers(machine: Machine): ReadonlySet<string> {
  const numbers = new Set<string>();
  for (const name of machine.disk.files) {
    if (!name.startsWith('condemned/')) continue;
    const text = Buffer.from(machine.disk.bytesOf(name)).toString('latin1');
    for (const [number] of text.matchAll(/[0-9a-f]{16}/g)) numbers.add(number);
  }
  return numbers;
}

/** @throws {Violation} one knows a chunk that the other lacks, or other bytes of it. */
export function assertSameIndex(live: ReadonlyMap<string, string>, rebuilt: ReadonlyMap<string, string>): void {
  const different = [...new Set([...live.keys(), ...rebuilt.keys()])].filter((id) => live.get(id) !== rebuilt.get(id));
  if (different.length === 0) return;
  throw new Violation('I4 a rebuilt index says the same', `'${live.size}' chunks live, '${rebuilt.size}' rebuilt, '${different.length}' differ, such as '${different[0] ?? ''}'`);
}

/** With every process ended in order: no staged file, session or lock, and nothing that only a list explains without its list. */
export async function assertNoLeftovers(machine: Machine): Promise<void> {
  const { files } = machine.disk;
  const left = files.filter((name) => /^(?:temporary|sessions|tombstones)\//.test(name) || name.startsWith('locks/writer-'));
  if (left.length > 0) throw new Violation('no leak', `'${left.join("', '")}' stay`);
  for (const name of files.filter((one) => one.startsWith('reprieved/'))) {
    const list = name.replace('reprieved', 'condemned');
    if (!files.includes(list)) throw new Violation('I3 a decision has its list', `'${name}' without '${list}'`);
  }
  const lists = files.filter((name) => name.startsWith('condemned/')).map((name) => Buffer.from(machine.disk.bytesOf(name)).toString('latin1')).join('\n');
  const orphans = hasKeys(machine) ? [] : files.filter((name) => name.startsWith('relocated/') && !lists.includes(name));
  if (orphans.length > 0) throw new Violation('no leak', `'${orphans.join("', '")}' belong to no list`);
}
