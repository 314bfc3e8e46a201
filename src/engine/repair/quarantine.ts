/** Copies of damaged objects, made before anything is done to them. Their names say what they were and what their bytes are. */
import { createHash } from 'node:crypto';
import { BusyError, type ObjectReader, type ObjectStore } from '../../core/index.ts';
import { slabsOf } from '../parity/index.ts';

const QUARANTINE = 'quarantine';
const DIGEST_DIGITS = 16;

async function digestOf(reader: ObjectReader): Promise<string> {
  const hash = createHash('sha256');
  for await (const { bytes } of slabsOf(reader, { offset: 0, size: reader.size })) hash.update(bytes);
  return hash.digest('hex').slice(0, DIGEST_DIGITS);
}

/**
 * Copies an object; what can't be read becomes zeros. Durable when it resolves; the same bytes are copied once.
 * @returns the copy's name. @throws {NotFoundError}
 */
export async function quarantine(objects: ObjectStore, name: string): Promise<string> {
  const reader = await objects.open(name);
  try {
    const copy = `${QUARANTINE}/${name}.${await digestOf(reader)}`;
    const writer = await objects.create(copy);
    try {
      for await (const { bytes } of slabsOf(reader, { offset: 0, size: reader.size })) await writer.append(bytes);
      await writer.commit();
    } catch (error) {
      if (!(error instanceof BusyError)) throw error; // it is there already
      await objects.settle([copy]);
    } finally {
      await writer.abandon();
    }
    return copy;
  } finally {
    await reader.close();
  }
}

/** Names of copies of an object. */
export async function quarantined(objects: ObjectStore, name: string): Promise<readonly string[]> {
  const copies: string[] = [];
  const prefix = `${QUARANTINE}/${name}.`;
  const directory = prefix.slice(0, prefix.lastIndexOf('/'));
  for await (const page of objects.list(directory)) for (const row of page) if (row.name.startsWith(prefix)) copies.push(row.name);
  return copies;
}
