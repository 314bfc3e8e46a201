/**
 * The log of a VHDX file: what a crash kept from its place, as patches. Source: [MS-VHDX], sections 2.3.1 to 2.3.3.
 *
 * The log is a ring of entries of whole 4 KiB sectors. The entries to replay are the run of consecutive sequence numbers whose last
 * entry is the newest of all, beginning at the entry that its `Tail` names.
 */
import { type BlockSource, checkLimit, equalBytes, FormatError, type Limits, readRange, utf8 } from '../../../core/index.ts';
import { guidText } from '../../mapping/guid.ts';
import type { Patch } from '../../mapping/patched-source.ts';
import { checksumHolds, type VhdxHeader } from './header.ts';
import { dataDescriptorLayout, dataSectorLayout, logEntryLayout, zeroDescriptorLayout } from './vhdx.layout.ts';

const SECTOR = 4096;
const DESCRIPTOR_BYTES = 32;

/** What replaying gives. */
export interface LogReplay {
  /** Oldest first. */
  readonly patches: readonly Patch[];
  /** Bytes that the file has to have at least, then. */
  readonly fileBytes: number;
  readonly entries: number;
}

interface Entry {
  /** In the log. */
  readonly at: number;
  readonly length: number;
  readonly tail: number;
  readonly sequence: number;
  readonly descriptors: number;
  readonly flushedBytes: number;
  readonly lastBytes: number;
  readonly bytes: Uint8Array;
}

/** `name` is structure and field. */
function fault(name: readonly [string, string], offset: number, found: string | number, expected: string): FormatError {
  return new FormatError('Replay VHDX log', { structure: name[0], field: name[1], offset, found, expected });
}

/** Bytes `at … at + length` of the ring. */
function slice(log: Uint8Array, at: number, length: number): Uint8Array {
  if (at + length <= log.length) return log.subarray(at, at + length);
  const bytes = new Uint8Array(length);
  bytes.set(log.subarray(at));
  bytes.set(log.subarray(0, at + length - log.length), log.length - at);
  return bytes;
}

/** The entry at `at`, if there is a sound one of this log: what is not may be left from earlier times. */
function entryAt(log: Uint8Array, at: number, logGuid: string): Entry | undefined {
  const head = logEntryLayout.view(log, at, at);
  if (!equalBytes(head.Signature, utf8('loge')) || guidText(head.LogGuid) !== logGuid) return undefined;
  const length = head.EntryLength;
  if (length === 0 || length % SECTOR !== 0 || length > log.length || head.Tail % SECTOR !== 0 || head.Tail >= log.length) return undefined;
  if (logEntryLayout.size + head.DescriptorCount * DESCRIPTOR_BYTES > length) return undefined;
  const bytes = slice(log, at, length);
  if (!checksumHolds(bytes, head.Checksum)) return undefined;
  return {
    at, length, bytes, tail: head.Tail, sequence: head.SequenceNumber, descriptors: head.DescriptorCount, flushedBytes: head.FlushedFileOffset, lastBytes: head.LastFileOffset,
  };
}

/** All sound entries by place. Sectors inside a sound entry are not looked at: they may hold anything. */
function soundEntries(log: Uint8Array, logGuid: string): ReadonlyMap<number, Entry> {
  const found = new Map<number, Entry>();
  for (let at = 0; at < log.length;) {
    const entry = entryAt(log, at, logGuid);
    if (entry !== undefined) found.set(at, entry);
    at += entry?.length ?? SECTOR;
  }
  return found;
}

/** The run that ends at the newest entry, oldest first; undefined when entries of it are missing. */
function runOf(newest: Entry, entries: ReadonlyMap<number, Entry>, logBytes: number): readonly Entry[] | undefined {
  const run: Entry[] = [];
  for (let at = newest.tail; run.length <= entries.size;) {
    const entry = entries.get(at);
    const before = run.at(-1);
    if (entry === undefined || (before !== undefined && entry.sequence !== before.sequence + 1)) return undefined;
    run.push(entry);
    if (entry === newest) return run;
    at = (at + entry.length) % logBytes;
  }
  return undefined;
}

function patchesOf(entry: Entry, fileAt: number): readonly Patch[] {
  const { bytes, sequence } = entry;
  // Data sectors follow the descriptors, from the next whole sector.
  let data = Math.ceil((logEntryLayout.size + entry.descriptors * DESCRIPTOR_BYTES) / SECTOR) * SECTOR;
  return Array.from({ length: entry.descriptors }, (_none, index): Patch => {
    const at = logEntryLayout.size + index * DESCRIPTOR_BYTES;
    const signature = Buffer.from(bytes.subarray(at, at + 4)).toString('latin1');
    if (signature === 'zero') {
      const zero = zeroDescriptorLayout.view(bytes, at, fileAt + at);
      if (zero.SequenceNumber !== sequence) throw fault([zeroDescriptorLayout.name, 'SequenceNumber'], fileAt + at, zero.SequenceNumber, String(sequence));
      if (zero.ZeroLength % SECTOR !== 0 || zero.FileOffset % SECTOR !== 0) throw fault([zeroDescriptorLayout.name, 'ZeroLength'], fileAt + at, zero.ZeroLength, `a multiple of ${SECTOR}`);
      return { offset: zero.FileOffset, length: zero.ZeroLength };
    }
    if (signature !== 'desc') throw fault(['VHDX log descriptor', 'Signature'], fileAt + at, signature, 'zero or desc');
    const place = dataDescriptorLayout.view(bytes, at, fileAt + at);
    if (place.SequenceNumber !== sequence) throw fault([dataDescriptorLayout.name, 'SequenceNumber'], fileAt + at, place.SequenceNumber, String(sequence));
    if (place.FileOffset % SECTOR !== 0) throw fault([dataDescriptorLayout.name, 'FileOffset'], fileAt + at, place.FileOffset, `a multiple of ${SECTOR}`);
    const sector = dataSectorLayout.view(bytes, data, fileAt + data);
    if (!equalBytes(sector.DataSignature, utf8('data')) || sector.SequenceHigh * 2 ** 32 + sector.SequenceLow !== sequence) {
      throw fault([dataSectorLayout.name, 'SequenceLow'], fileAt + data, sector.SequenceLow, String(sequence));
    }
    data += SECTOR;
    const whole = new Uint8Array(SECTOR);
    whole.set(place.LeadingBytes);
    whole.set(sector.Data, 8);
    whole.set(place.TrailingBytes, SECTOR - 4);
    return { offset: place.FileOffset, length: SECTOR, bytes: whole };
  });
}

/**
 * Reads the log; nothing is written.
 * @throws {FormatError} when the header says that there is one to replay and none can be. @throws {LimitError}
 */
export async function replayLog(file: BlockSource, header: VhdxHeader, limits: Limits): Promise<LogReplay> {
  const { offset, length } = header.log;
  if (offset % 2 ** 20 !== 0 || length % 2 ** 20 !== 0 || length === 0 || offset + length > file.size) {
    throw fault(['VHDX header', 'LogOffset'], 0, `${offset}+${length}`, `whole MiB before the end '${file.size}' of the file`);
  }
  checkLimit(limits, 'imageLogBytesMax', length, 'VHDX header.LogLength');
  const log = await readRange(file, offset, length);
  const entries = soundEntries(log, header.logGuid);
  let best: readonly Entry[] | undefined;
  for (const newest of [...entries.values()].sort((a, b) => b.sequence - a.sequence)) {
    best = runOf(newest, entries, log.length);
    if (best !== undefined) break;
  }
  const newest = best?.at(-1);
  if (best === undefined || newest === undefined) throw fault(['VHDX log', 'SequenceNumber'], offset, `${entries.size} entries`, 'a whole run of entries, as the header names a log');
  if (newest.flushedBytes > file.size) throw fault([logEntryLayout.name, 'FlushedFileOffset'], offset + newest.at, newest.flushedBytes, `at most '${file.size}', the size of the file`);
  const patches = best.flatMap((entry) => patchesOf(entry, offset + entry.at));
  for (const patch of patches) {
    if (patch.offset + patch.length > Math.max(file.size, newest.lastBytes)) throw fault(['VHDX log descriptor', 'FileOffset'], offset, patch.offset, `before the end '${newest.lastBytes}' of the file`);
  }
  return { patches, fileBytes: Math.max(file.size, newest.lastBytes), entries: best.length };
}
