/**
 * Durability steps, each with the replacement that takes it out of a copy of the engine. Without any one of them some promise must break, or the step is
 * superfluous, or the invariants are too weak.
 */
import type { Replacement } from './engine.ts';

/** One step less. */
export interface Mutation {
  readonly name: string;
  /** What is not done any more. */
  readonly what: string;
  readonly replacements: readonly Replacement[];
  /** The workload that notices soonest. */
  readonly workload?: string;
}

const objects = 'engine/objects/disk-objects.js';
const catchUp = 'engine/store/catch-up.js';
const repository = 'engine/repository/repository.js';
const collector = 'engine/gc/collector.js';

/** All of them. */
export const mutations: readonly Mutation[] = [
  { name: 'object-sync', workload: 'create', what: 'an object is synced before it gets its name', replacements: [{ file: objects, from: 'await file.sync();', to: '' }] },
  {
    name: 'name-sync', workload: 'create', what: 'the directory of a new name is synced',
    replacements: [{ file: objects, from: 'await this.#disk.link(staged, name);\n            await this.#disk.syncDirectory(parentOf(name));', to: 'await this.#disk.link(staged, name);' }],
  },
  { name: 'directory-sync', workload: 'create', what: 'a new directory is synced', replacements: [{ file: objects, from: 'await this.#disk.syncDirectory(parentOf(directory));', to: '' }] },
  { name: 'remove-sync', workload: 'collect', what: 'the removal of a name is synced', replacements: [{ file: objects, from: 'await this.#disk.syncDirectory(parentOf(name)).catch(', to: 'await Promise.resolve().catch(' }] },
  { name: 'layout-sync', workload: 'create', what: 'the directories of a new repository are synced', replacements: [{ file: 'engine/repository/config.js', from: "await disk.syncDirectory('');", to: '' }] },
  { name: 'settle-found', workload: 'backup', what: 'containers that were found are made durable before they are referred to', replacements: [{ file: catchUp, from: 'await this.#parts.objects.settle(', to: 'await ((_) => undefined)(' }] },
  { name: 'settle-config', workload: 'create', what: 'a config that was found is made durable', replacements: [{ file: repository, from: "await stored.settle(['config']);", to: 'void 0;' }] },
  { name: 'settle-tombstone', workload: 'forget', what: 'a tombstone that was found is made durable', replacements: [{ file: 'engine/snapshots/manifest.js', from: 'await objects.settle([name]);', to: '' }] },
  { name: 'settle-list', workload: 'collect-waiting', what: 'a list is made durable before it is decided', replacements: [{ file: 'engine/gc/condemned.js', from: "await objects.settle([nameOf('condemned', generation)]);", to: '' }] },
  { name: 'flush-before-manifest', workload: 'backup', what: 'chunks are durable before the manifest', replacements: [{ file: repository, from: 'await store.flush();', to: 'setImmediate(() => { store.flush().catch(() => undefined); });' }] },
  { name: 'wait-for-sessions', workload: 'collect-waiting', what: 'a collector waits for sessions that do not know its list', replacements: [{ file: collector, from: 'open.filter(({ epoch }) => epoch < generation)', to: 'open.filter(() => false)' }] },
  { name: 'mark-again', workload: 'collect-waiting', what: 'manifests that came since the list are marked before it is decided', replacements: [{ file: collector, from: 'if (known?.has(id) === true)', to: 'if (known === undefined || known.has(id))' }] },
  { name: 'announce', workload: 'collect-waiting', what: 'a session is announced', replacements: [{ file: 'engine/repository/session.js', from: 'await objects.put(`sessions/${id}`', to: 'await ((_) => undefined)(`sessions/${id}`' }] },
  { name: 'look-again', workload: 'writers', what: 'lists are looked for again after the session was announced', replacements: [{ file: 'engine/repository/session.js', from: 'await catchUp.run();\n        return session;', to: 'return session;' }] },
  { name: 'honour-condemned', workload: 'collect-waiting', what: 'a chunk in a condemned container is stored again', replacements: [{ file: 'engine/store/local-store.js', from: 'isFound && !dead.has(', to: 'isFound && ((_) => true)(' }] },
  { name: 'manifest-before-tombstone', workload: 'collect', what: 'a forgotten manifest goes before its tombstone', replacements: [{ file: collector, from: 'await objects.remove(`manifests/${id}`);\n            await objects.remove(`tombstones/${id}`);', to: 'await objects.remove(`tombstones/${id}`);\n            await objects.remove(`manifests/${id}`);' }] },
  { name: 'fence-the-dead', workload: 'collect-waiting', what: 'the session of a dead process gets a fence', replacements: [{ file: 'engine/gc/waiting.js', from: 'await fenceSession(world, objects, id);', to: 'await objects.remove(`sessions/${id}`);' }] },
  { name: 'youngest', workload: 'collect-waiting', what: 'containers younger than a session are not condemned', replacements: [{ file: collector, from: 'row.modified < youngest', to: 'true' }] },
  { name: 'purge-flush', workload: 'collect', what: 'what went is flushed out of the index', replacements: [{ file: 'engine/gc/purge.js', from: 'await index.flush();', to: '' }] },
  { name: 'log-current-sync', workload: 'backup', what: 'the ruling state of the index is synced', replacements: [{ file: 'engine/index/log/current.js', from: 'await file.writeFrom(0, encode(current));\n        await file.sync();', to: 'await file.writeFrom(0, encode(current));' }] },
];
