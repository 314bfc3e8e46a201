/** The volumes in `testdata/`, for tests; found from the compiled tests, which lie in `dist/`. */
import { readdir, readFile } from 'node:fs/promises';
import { defaultLimits, MemorySource, type OpenContext } from '../../../core/index.ts';
import type { NameResolver } from '../acl.ts';
import { type BaculaVolumeSet, openVolumeSet } from '../volume-set.ts';

const root = new URL('../../../../../src/formats/bacula/testdata/', import.meta.url);

/** Bytes of a file below `testdata/`. */
export async function fixtureFile(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(new URL(path, root)));
}

/** The one volume of a set. */
export async function fixtureVolume(set: string): Promise<Uint8Array> {
  const [name = ''] = await readdir(new URL(`${set}/volumes/`, root));
  return fixtureFile(`${set}/volumes/${name}`);
}

/** Lines of a manifest, as parsed JSON. */
export async function fixtureManifest(path: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return Buffer.from(await fixtureFile(path)).toString('utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Ids of the names that occur in the fixtures' ACLs. */
export const fixtureNames: NameResolver = (_kind, name) => new Map([['cloudsdk', 1000], ['nobody', 65534], ['nogroup', 65534], ['users', 100]]).get(name);

/** All keys that the fixtures need. */
export async function fixtureContext(): Promise<OpenContext> {
  return { limits: defaultLimits, keys: [await fixtureFile('keys/fd.pem'), await fixtureFile('b15-volume-encrypted/volume-key.txt')] };
}

/** A set of volumes in memory. */
export function openBytes(volumes: readonly Uint8Array[], context: OpenContext = { limits: defaultLimits }): Promise<BaculaVolumeSet> {
  return openVolumeSet(volumes.map((bytes, i) => ({ name: `volume-${i + 1}`, source: new MemorySource(bytes) })), context, { resolveName: fixtureNames });
}
