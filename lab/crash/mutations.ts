/**
 * Durability steps, each with the replacement that takes it out of a copy of the engine. Without any one of them some promise must break, or the step is
 * superfluous, or the invariants are too weak. Syncs of what can be made again from containers (index,
 * filter, lists whose containers are gone) are not here: without them the next open takes longer.
 */
import type { Replacement } from './engine.ts';
import type { Fault } from './faults.ts';

/** One step less. */
export interface Mutation {
  readonly name: string;
  /** What is not done any more. */
  readonly what: string;
  readonly replacements: readonly Replacement[];
  /** Where it shows soonest: faults of this kind in this workload, from the first point on whose operation and path hold `from`. */
  readonly workload: string;
  readonly fault: Fault['kind'] | 'none';
  readonly from?: string;
}

const objects = 'engine/objects/disk-objects.js';
const catchUp = 'engine/store/catch-up.js';
const repository = 'engine/repository/repository.js';
const collector = 'engine/gc/collector.js';

/** All of them. */
export const mutations: readonly Mutation[] = [
  { name: 'object-sync', workload: 'create', fault: 'cut', what: 'an object is synced before it gets its name', replacements: [{ file: objects, from: 'await file.sync();', to: '' }] },
  {
    name: 'name-sync', workload: 'create', fault: 'cut', what: 'the directory of a new name is synced',
    replacements: [{ file: objects, from: 'await this.#disk.link(staged, name);\n            await this.#disk.syncDirectory(parentOf(name));', to: 'await this.#disk.link(staged, name);' }],
  },
  { name: 'directory-sync', workload: 'create', fault: 'cut', what: 'a new directory is synced', replacements: [{ file: objects, from: 'await this.#disk.syncDirectory(parentOf(directory));', to: '' }] },
  { name: 'remove-sync', workload: 'collect', fault: 'cut', what: 'the removal of a name is synced', replacements: [{ file: objects, from: 'await this.#disk.syncDirectory(parentOf(name)).catch(', to: 'await Promise.resolve().catch(' }] },
  { name: 'settle-found', workload: 'backup', fault: 'kill', what: 'containers that were found are made durable before they are referred to', replacements: [{ file: catchUp, from: 'await this.#parts.objects.settle(', to: 'await ((_) => undefined)(' }] },
  { name: 'settle-tombstone', workload: 'forget', fault: 'kill', what: 'a tombstone that was found is made durable', replacements: [{ file: 'engine/snapshots/manifest.js', from: 'await objects.settle([name]);', to: '' }] },
  { name: 'flush-before-manifest', workload: 'backup', fault: 'cut', what: 'chunks are durable before the manifest', replacements: [{ file: repository, from: 'await store.flush();', to: 'setImmediate(() => { store.flush().catch(() => undefined); });' }] },
  { name: 'wait-for-sessions', workload: 'collect-waiting', fault: 'cut', what: 'a collector waits for sessions that do not know its list', replacements: [{ file: collector, from: 'open.filter(({ epoch }) => epoch < generation)', to: 'open.filter(() => false)' }] },
  { name: 'mark-again', workload: 'collect-waiting', fault: 'cut', what: 'manifests that came since the list are marked before it is decided', replacements: [{ file: collector, from: 'if (known?.has(id) === true)', to: 'if (known === undefined || known.has(id))' }] },
  { name: 'announce', workload: 'collect-waiting', fault: 'cut', what: 'a session is announced', replacements: [{ file: 'engine/repository/session.js', from: 'await objects.put(`sessions/${id}`', to: 'await ((_) => undefined)(`sessions/${id}`' }] },
  { name: 'look-again', workload: 'writers', fault: 'none', what: 'lists are looked for again after the session was announced', replacements: [{ file: 'engine/repository/session.js', from: 'await catchUp.honour();', to: '' }] },
  { name: 'honour-condemned', workload: 'collect-late', fault: 'cut', what: 'a chunk in a condemned container is stored again', replacements: [{ file: 'engine/store/local-store.js', from: 'isFound && !dead.has(', to: 'isFound && ((_) => true)(' }] },
  { name: 'manifest-before-tombstone', workload: 'collect', fault: 'cut', what: 'a forgotten manifest goes before its tombstone', replacements: [{ file: collector, from: 'await objects.remove(`manifests/${id}`);\n            await objects.remove(`tombstones/${id}`);', to: 'await objects.remove(`tombstones/${id}`);\n            await objects.remove(`manifests/${id}`);' }] },
];
