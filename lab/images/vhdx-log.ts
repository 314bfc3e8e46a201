/** A VHDX whose log was not replayed: holdfast's view of it in memory equals what QEMU makes of it by writing to a copy. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buildLogEntry, nameLog } from '../../src/formats/images/testing/builders.ts';
import type { Checks } from '../checks.ts';
import { differenceFrom, openIn } from './compare.ts';
import { runTool, toRaw } from './tools.ts';

const LOG_AT = 1 << 20;
const LOG_BYTES = 1 << 20;
const SECTOR = 4096;
/** Entries of the first region table: the BAT's offset, then that of the metadata. */
const REGION_OFFSETS = [196_608 + 32, 196_608 + 64];
/** From the metadata region to its first item. */
const ITEMS_AT = 65_536;

/** Moves the first sectors of BAT and metadata items into two log entries, the first of which is wrong, at a random place of the ring. */
function loseToLog(file: Buffer, random: () => number): void {
  const guid = new Uint8Array(16).fill(0x33);
  const [bat = 0, metadata = 0] = REGION_OFFSETS.map((at) => Number(file.readBigUInt64LE(at)));
  const lost = [bat, metadata + ITEMS_AT];
  const tail = Math.floor(random() * LOG_BYTES / SECTOR) * SECTOR;
  const at = { fileBytes: file.length, guid, tail };
  const entries = Buffer.concat([
    buildLogEntry(lost.map((offset) => ({ offset, bytes: new Uint8Array(SECTOR).fill(0x11) })), { ...at, sequence: 7 }),
    buildLogEntry(lost.map((offset) => ({ offset, bytes: new Uint8Array(file.subarray(offset, offset + SECTOR)) })), { ...at, sequence: 8 }),
  ]);
  for (const offset of lost) file.fill(0xee, offset, offset + SECTOR);
  file.fill(0, LOG_AT, LOG_AT + LOG_BYTES);
  for (const [i, byte] of entries.entries()) file[LOG_AT + (tail + i) % LOG_BYTES] = byte;
  nameLog(file, guid);
}

/** Compares for a dynamic VHDX of the raw disk. */
export async function checkVhdxLog(directory: string, raw: string, random: () => number, checks: Checks): Promise<void> {
  runTool(directory, 'qemu-img', ['convert', '-f', 'raw', '-O', 'vhdx', '-o', 'block_size=1M', raw, 'log.vhdx']);
  const file = readFileSync(path.join(directory, 'log.vhdx'));
  loseToLog(file, random);
  writeFileSync(path.join(directory, 'log.vhdx'), file);
  copyFileSync(path.join(directory, 'log.vhdx'), path.join(directory, 'replayed.vhdx'));
  runTool(directory, 'qemu-img', ['check', '-q', '-f', 'vhdx', '-r', 'all', 'replayed.vhdx']);
  toRaw(directory, 'replayed.vhdx', 'vhdx', path.join(directory, 'expected.raw'));
  let difference: string | undefined;
  try {
    const image = await openIn(directory, 'log.vhdx');
    difference = await differenceFrom(image, path.join(directory, 'expected.raw'), random);
    await image.close();
  } catch (error) {
    difference = String(error);
  }
  checks.expect('a VHDX log replayed in memory equals what QEMU writes when it replays it', difference === undefined, difference ?? '');
}
