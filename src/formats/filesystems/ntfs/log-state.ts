/**
 * Whether the log was closed: read only, never replayed.
 * Source: libfsntfs project, "NTFS format specification", "Metadata transaction journal (log file)": restart pages and areas.
 */
import { HoldfastError, readRange, textOf, type BlockSource } from '../../../core/index.ts';
import { applyFixups } from './fixups.ts';

const PAGE_BYTES = 4096;
/** No client of the log is in use. */
const NO_CLIENT = 0xffff;
const VOLUME_IS_CLEAN = 2;

/** `clean`: nothing to replay; `dirty`: something; `empty`: never used since it was made; `damaged`: no restart page can be read. */
export type LogState = 'clean' | 'dirty' | 'empty' | 'damaged';

interface RestartPage {
  readonly sequence: number;
  readonly isClean: boolean;
}

function parseRestart(bytes: Uint8Array): RestartPage | undefined {
  if (textOf(bytes.subarray(0, 4)) !== 'RSTR') return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pageBytes = view.getUint32(16, true);
  const areaAt = view.getUint16(24, true);
  if (pageBytes !== bytes.length || areaAt + 48 > bytes.length) return undefined;
  try {
    applyFixups({ view, at: 0, length: bytes.length, structure: 'NTFS log restart page', offset: 0 });
  } catch (error) {
    if (error instanceof HoldfastError) return undefined;
    throw error;
  }
  const inUse = view.getUint16(areaAt + 12, true);
  const flags = view.getUint16(areaAt + 14, true);
  return { sequence: view.getUint32(areaAt + 4, true) * 0x1_0000_0000 + view.getUint32(areaAt, true), isClean: inUse === NO_CLIENT || (flags & VOLUME_IS_CLEAN) !== 0 };
}

/** The state that the newer of the two restart pages tells. */
export async function readLogState(log: BlockSource): Promise<LogState> {
  if (log.size < 2 * PAGE_BYTES) return 'damaged';
  const head = await readRange(log, 0, 2 * PAGE_BYTES);
  if (head.every((byte) => byte === 0xff)) return 'empty';
  const pages = [parseRestart(head.subarray(0, PAGE_BYTES)), parseRestart(head.subarray(PAGE_BYTES))].filter((page) => page !== undefined);
  const newest = pages.toSorted((a, b) => b.sequence - a.sequence)[0];
  if (newest === undefined) return 'damaged';
  return newest.isClean ? 'clean' : 'dirty';
}
