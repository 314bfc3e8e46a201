/**
 * The engine under test: a copy of its compiled files, with its sizes made small, so that a few kilobytes fill groups, containers and index
 * segments and cross all their borders. A mutation is one more replacement: the copy with a durability step taken out.
 */
import assert from 'node:assert';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as core from '../../src/core/index.ts';
import type * as simulated from '../../src/core/testing/simulated-world.ts';
import type { Limits } from '../../src/core/index.ts';
import type * as engine from '../../src/engine/index.ts';
import { repositoryRoot } from '../environment.ts';

/** One text of a compiled file that becomes another; the file is below `dist/src`. It must occur exactly once. */
export interface Replacement {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The classes of one copy. They are other classes than those of any other copy. */
export interface Engine {
  readonly core: typeof core;
  readonly simulated: typeof simulated;
  readonly engine: typeof engine;
  readonly limits: Limits;
  /** Removes the copy; what was loaded goes on working. */
  dispose(): void;
}

/** Sizes for the simulation: 4 chunks of 4 KiB are a group, 2 groups a container, 24 ids an index segment. A row names a constant of a compiled file. */
const sizes: readonly (readonly [file: string, constant: string, value: string])[] = [
  ['engine/store/group-builder.js', 'GROUP_BYTES', '16 << 10'],
  ['engine/store/local-store.js', 'CONTAINER_BYTES', '24 << 10'],
  ['engine/store/placed-chunks.js', 'PLACES_CACHED', '256'],
  ['engine/ingest/slab.js', 'SLAB_BYTES', '256 << 10'],
  ['engine/ingest/slab.js', 'SLAB_CHUNKS', '512'],
  ['engine/ingest/feeder.js', 'READ_BYTES', '32 << 10'],
  ['engine/index/log/log-state.js', 'defaultLogOptions', '{ tableEntries: 24, filterBytesMax: 1 << 20 }'],
];

/** Few directories, so that some are made later; and a window to look at the index. */
const small: readonly Replacement[] = [
  { file: 'engine/repository/config.js', from: 'prefix < 256', to: 'prefix < 2' },
  { file: 'engine/repository/repository.js', from: '    get store() {', to: '    get index() { return this.#parts.index; }\n    get dead() { return this.#parts.catchUp.dead; }\n    get store() {' },
];

function resize(directory: string, [file, constant, value]: (typeof sizes)[number]): void {
  const target = path.join(directory, 'src', file);
  const text = readFileSync(target, 'utf8');
  const declaration = new RegExp(`(const ${constant} = )[^;]+;`);
  assert.match(text, declaration, `'${file}' has no constant '${constant}': the engine changed, and its copy must be described anew`);
  writeFileSync(target, text.replace(declaration, `$1${value};`));
}

function replace(directory: string, { file, from, to }: Replacement): void {
  const target = path.join(directory, 'src', file);
  const text = readFileSync(target, 'utf8');
  const count = text.split(from).length - 1;
  assert.equal(count, 1, `'${file}' has '${from}' '${count}' times: the engine changed, and its copy must be described anew`);
  writeFileSync(target, text.replace(from, () => to));
}

/** Copies and loads the engine. @throws {AssertionError} a replacement does not fit the compiled text. */
export async function loadEngine(mutations: readonly Replacement[] = []): Promise<Engine> {
  const dist = path.join(repositoryRoot(), 'dist');
  mkdirSync(path.join(dist, '.crash'), { recursive: true });
  const directory = mkdtempSync(path.join(dist, '.crash', 'engine-'));
  const dispose = (): void => { rmSync(directory, { recursive: true, force: true }); };
  try {
    for (const layer of ['core', 'engine']) {
      cpSync(path.join(dist, 'src', layer), path.join(directory, 'src', layer), { recursive: true, filter: (file) => !/\.(?:d\.ts|map|test\.js)$/.test(file) });
    }
    for (const size of sizes) resize(directory, size);
    for (const replacement of [...small, ...mutations]) replace(directory, replacement);
    const load = (file: string): Promise<unknown> => import(pathToFileURL(path.join(directory, 'src', file)).href);
    const loaded = { core: await load('core/index.js') as typeof core, simulated: await load('core/testing/simulated-world.js') as typeof simulated, engine: await load('engine/index.js') as typeof engine };
    const limits = { ...loaded.core.defaultLimits, groupBytesMax: 128 << 10, chunkBytesMax: 64 << 10 };
    return { ...loaded, limits, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
