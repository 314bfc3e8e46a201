/** The table that leads from an object's number to its tree. */
import { HoldfastError, NotFoundError } from '../../../core/index.ts';
import type { RefsVolume } from './bootstrap.ts';
import { RefsNode } from './node.ts';
import { readReference, type PageReference } from './reference.ts';
import { leavesBelow } from './tree.ts';

const KEY_BYTES = 16;
/** Where a row's value has the reference. */
const REFERENCE_AT = 0x20;

function numberOf(key: Uint8Array): number | undefined {
  if (key.length < KEY_BYTES) return undefined;
  const view = new DataView(key.buffer, key.byteOffset);
  return view.getUint32(8, true) + view.getUint32(12, true) * 0x1_0000_0000;
}

/** Walks down by the keys, which are the greatest of what is below; the last may have none. */
async function descend({ pages }: RefsVolume, root: PageReference, object: number): Promise<PageReference | undefined> {
  let reference = root;
  for (let level = Number.MAX_SAFE_INTEGER; ;) {
    const node = RefsNode.ofPage(await pages.read(reference), reference.where);
    if (node.level >= level) return undefined;
    level = node.level;
    let next: PageReference | undefined;
    for (let i = 0; i < node.count && next === undefined; i += 1) {
      const { key, value } = node.row(i);
      const number = numberOf(key);
      if (level === 0 ? number === object : number === undefined || number >= object) next = readReference(value, level === 0 ? REFERENCE_AT : 0, `ReFS object table, level ${level}, row ${i}`);
    }
    if (next === undefined || level === 0) return next;
    reference = next;
  }
}

/** Looks at every row: for a table whose inner keys are in another way than is known. */
async function scan(volume: RefsVolume, root: PageReference, object: number): Promise<PageReference | undefined> {
  const page = await volume.pages.read(root);
  for await (const { node } of leavesBelow({ node: RefsNode.ofPage(page, root.where), place: 0 }, volume)) {
    for (let i = 0; i < node.count; i += 1) {
      const { key, value } = node.row(i);
      if (numberOf(key) === object) return readReference(value, REFERENCE_AT, `ReFS object table, object ${object}`);
    }
  }
  return undefined;
}

/** The tree of an object, by the copy of the table where the table is damaged. @throws {NotFoundError} when no table has it. */
export async function findObject(volume: RefsVolume, object: number): Promise<PageReference> {
  let failure: HoldfastError | undefined;
  for (const root of volume.objects) {
    try {
      const found = await descend(volume, root, object) ?? (volume.scans.left > 0 ? await scan(volume, root, object) : undefined);
      if (found !== undefined) return found;
      volume.scans.left -= 1;
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      failure ??= error;
    }
  }
  throw failure ?? new NotFoundError(`Find ReFS object '${object}': the table of objects does not have it`);
}
