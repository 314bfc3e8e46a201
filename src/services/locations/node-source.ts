/** The content of a file that a location has led to. */
import * as path from 'node:path';
import { textOf, type BlockSource } from '../../core/index.ts';
import { fileSource } from '../../fs-adapters/posix/index.ts';
import { owning } from './owner.ts';
import type { NodePlace } from './place.ts';

/** The last part of its path. */
export function nameOf(place: NodePlace): string {
  return path.posix.basename(textOf(place.view.path));
}

/** Opens a file; the source is the caller's. @throws what its tree throws. */
export function openContent(place: NodePlace): Promise<BlockSource> {
  return place.hostPath === undefined ? place.view.tree.open(place.view.id) : fileSource(place.hostPath);
}

/** Opens a file if it is what is looked for; else, and when looking fails, it is closed again. */
export async function openIf(place: NodePlace, isWanted: (source: BlockSource) => Promise<boolean>): Promise<BlockSource | undefined> {
  return owning(async (owner) => {
    const source = owner.own(await openContent(place));
    if (await isWanted(source)) return source;
    await owner.close();
    return undefined;
  });
}
