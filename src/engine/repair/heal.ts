/**
 * One object healed from its sidecar, byte for byte by its digest. Order: copy to quarantine → healed bytes staged and proved → the damaged object removed → the
 * healed one named. A crash between the last two leaves sidecar and copy, from which the next repair makes the object again.
 */
import { HoldfastError, type Limits, type ObjectStore } from '../../core/index.ts';
import { decodeDocument, documentKind } from '../objects/index.ts';
import { createParity, openIfPresent, repairWithParity, sidecarName, slabsOf, verifySidecar, verifyWithParity } from '../parity/index.ts';
import { readSmall } from '../check/object-check.ts';
import { hasObject } from '../objects/index.ts';
import { quarantine, quarantined } from './quarantine.ts';

/** What a repair of objects works with. */
export interface HealParts {
  /** The objects themselves, without what keeps their parity. */
  readonly objects: ObjectStore;
  readonly limits: Limits;
  /** Say what would be done, write nothing. */
  readonly isDryRun: boolean;
}

/** `healed` also when it would be, in a dry run. `unprotected`: no sidecar that could tell. */
export type HealOutcome = 'sound' | 'healed' | 'beyond-repair' | 'unprotected';

/** Whether an object is a small one that vouches for itself. */
async function isSoundDocument({ objects, limits }: HealParts, name: string): Promise<boolean> {
  try {
    const bytes = await readSmall(objects, name, limits);
    const kind = documentKind(bytes);
    if (kind === undefined) return false;
    decodeDocument(bytes, kind, `Read object '${name}'`);
    return true;
  } catch (error) {
    if (error instanceof HoldfastError) return false;
    throw error;
  }
}

/** Writes the object anew from `source`, where it is called `name` as well. @returns whether that worked. */
async function rewrite({ objects, limits }: HealParts, name: string, source: Pick<ObjectStore, 'open'>): Promise<boolean> {
  const writer = await objects.create(name);
  try {
    if ((await repairWithParity(source, name, writer, limits)).outcome !== 'repaired') return false;
    await objects.remove(name);
    await writer.commit();
    return true;
  } finally {
    await writer.abandon();
  }
}

/** Of an object that is gone: from copies that an earlier repair may have left. */
async function fromQuarantine(parts: HealParts, name: string): Promise<boolean> {
  for (const copy of await quarantined(parts.objects, name)) {
    const source = { open: (wanted: string) => parts.objects.open(wanted === name ? copy : wanted) };
    const { state } = await verifyWithParity(source, name, parts.limits);
    if (state === 'sound') return parts.isDryRun || copyBack(parts, name, copy);
    if (state === 'damaged' && (parts.isDryRun || await rewrite(parts, name, source))) return true;
  }
  return false;
}

async function copyBack({ objects }: HealParts, name: string, copy: string): Promise<boolean> {
  const reader = await objects.open(copy);
  const writer = await objects.create(name);
  try {
    for await (const { bytes } of slabsOf(reader, { offset: 0, size: reader.size })) await writer.append(bytes);
    await writer.commit();
    return true;
  } finally {
    await writer.abandon();
    await reader.close();
  }
}

/** Heals one object, if it is damaged and its sidecar suffices. @throws {UnsupportedError} nothing may be removed here. */
export async function healObject(parts: HealParts, name: string): Promise<HealOutcome> {
  const { objects, limits, isDryRun } = parts;
  const { state } = await verifyWithParity(objects, name, limits);
  if (state === 'sound') return 'sound';
  if (state === 'unknown') return 'unprotected';
  if (await isSoundDocument(parts, name)) return 'sound'; // then the sidecar is that of another time
  const isThere = await hasObject(objects, name);
  if (state === 'damaged') {
    if (isDryRun) return 'healed';
    if (isThere) await quarantine(objects, name);
    if (await rewrite(parts, name, objects)) return 'healed';
  }
  return !isThere && await fromQuarantine(parts, name) ? 'healed' : 'beyond-repair';
}

/**
 * Gives a sound object a sidecar if it has none, or a new one instead of a damaged one.
 * @returns whether it did, or in a dry run would.
 */
export async function renewSidecar({ objects, limits, isDryRun }: HealParts, name: string, percent: number): Promise<boolean> {
  const sidecar = await verifySidecar(objects, name, limits);
  if (typeof sidecar !== 'string' && sidecar.state === 'sound' && (await isOf(objects, name, limits))) return false;
  const reader = await openIfPresent(objects, name);
  try {
    if (reader.size === 0 || isDryRun) return reader.size > 0;
    const parity = createParity({ name, sizeMax: reader.size, percent, limits });
    try {
      for await (const { bytes } of slabsOf(reader, { offset: 0, size: reader.size })) parity.append(bytes);
      if (sidecar !== 'absent') {
        await quarantine(objects, sidecarName(name));
        await objects.remove(sidecarName(name));
      }
      await parity.finish(objects);
    } finally {
      parity.release();
    }
    return true;
  } finally {
    await reader.close();
  }
}

/** A sidecar that is sound itself may be that of other bytes; of containers it was compared when they were healed. */
async function isOf(objects: ObjectStore, name: string, limits: Limits): Promise<boolean> {
  return name.startsWith('containers/') || (await verifyWithParity(objects, name, limits)).state === 'sound';
}
