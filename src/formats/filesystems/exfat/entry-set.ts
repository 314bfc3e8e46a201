/** A file's directory entries as one: file, stream extension, names. Source: exFAT specification, sections 6.3 and 7.4 to 7.7. */
import { FormatError, IntegrityError, UnsupportedError, type HoldfastError, type NodeStat } from '../../../core/index.ts';
import { wtf8 } from '../wtf8.ts';
import { nameHash, setChecksum } from './checksum.ts';
import { ATTRIBUTE, ENTRY, ENTRY_BYTES, fileLayout, NAME_UNITS, NO_FAT_CHAIN, streamLayout, TYPE } from './exfat.layout.ts';
import { exfatTime } from './exfat-time.ts';

const MODE = { all: 0o755, readOnly: 0o555 } as const;
const NAMES_MAX = 17;
const NAME_UNITS_AT = 2;
const TENS_MAX = 199;

/** What a set says. `fault` is why it cannot be trusted; then only the name may be shown. */
export interface ExfatNode {
  /** Empty where it cannot be told. */
  readonly name: Uint8Array;
  readonly directory: boolean;
  readonly contiguous: boolean;
  readonly cluster: number;
  readonly size: number;
  readonly validBytes: number;
  /** Byte of the volume where the set begins. */
  readonly at: number;
  readonly stat: NodeStat;
  /** The name's hash is that of another name: its letters were changed, or its writer folds case otherwise. */
  readonly strangeHash: boolean;
}

/** A set that cannot be read, with the name that it seems to have. */
export interface BadSet {
  readonly name: Uint8Array;
  readonly at: number;
  readonly fault: HoldfastError;
}

/** Whether a set could not be read. */
export function isBad(found: ExfatNode | BadSet): found is BadSet {
  return 'fault' in found;
}

const units = new Uint16Array(NAMES_MAX * NAME_UNITS);

/** The units of the name's entries, which follow the stream extension. @returns how many there are, at most all that fit. */
function collectName(view: DataView, count: number): number {
  let size = 0;
  for (let i = 2; i < count && size < units.length && view.getUint8(i * ENTRY_BYTES) === ENTRY.name; i += 1) {
    for (let j = 0; j < NAME_UNITS; j += 1) units[size + j] = view.getUint16(i * ENTRY_BYTES + NAME_UNITS_AT + 2 * j, true);
    size += NAME_UNITS;
  }
  return size;
}

function faultOf(set: Uint8Array, view: DataView, { at, collected }: { readonly at: number; readonly collected: number }): HoldfastError | undefined {
  const kept = view.getUint16(fileLayout.offsets.SetChecksum, true);
  const sum = setChecksum(set);
  if (sum !== kept) return new IntegrityError(`Read exFAT entry set at byte '${at}': its checksum is '${kept}', its bytes give '${sum}'`, { offset: at, structure: fileLayout.name, field: 'SetChecksum' });
  if (set.length < 3 * ENTRY_BYTES || view.getUint8(ENTRY_BYTES) !== ENTRY.stream) return new FormatError('Read exFAT entry set', { structure: streamLayout.name, field: 'EntryType', offset: at + ENTRY_BYTES, expected: ENTRY.stream });
  const length = view.getUint8(ENTRY_BYTES + streamLayout.offsets.NameLength);
  if (length === 0 || length > collected) return new FormatError('Read exFAT entry set', { structure: streamLayout.name, field: 'NameLength', offset: at + ENTRY_BYTES + streamLayout.offsets.NameLength, found: length, expected: `1 to ${collected}` });
  for (let i = (2 + Math.ceil(length / NAME_UNITS)) * ENTRY_BYTES; i < set.length; i += ENTRY_BYTES) {
    const type = view.getUint8(i);
    if ((type & TYPE.benign) === 0) return new UnsupportedError(`Read exFAT entry set at byte '${at}': it has a critical entry of the unknown type '${type}'`, { offset: at + i, type });
  }
  return undefined;
}

/** Reads a whole set, file entry first, which begins at byte `at` of the volume; `inode` goes into its stat. */
export function readSet(set: Uint8Array, { at, inode, upcase }: { readonly at: number; readonly inode: number; readonly upcase: Uint16Array | undefined }): ExfatNode | BadSet {
  const view = new DataView(set.buffer, set.byteOffset, set.byteLength);
  const collected = collectName(view, set.length / ENTRY_BYTES);
  const length = set.length > ENTRY_BYTES ? Math.min(collected, view.getUint8(ENTRY_BYTES + streamLayout.offsets.NameLength)) : 0;
  const name = wtf8(units, length);
  const fault = faultOf(set, view, { at, collected });
  if (fault !== undefined) return { name, at, fault };
  const file = fileLayout.view(set, 0, at);
  const stream = streamLayout.view(set, ENTRY_BYTES, at + ENTRY_BYTES);
  const directory = (file.FileAttributes & ATTRIBUTE.directory) !== 0;
  let size: number;
  let validBytes: number;
  try {
    size = stream.DataLength;
    validBytes = stream.ValidDataLength;
  } catch (error) {
    return { name, at, fault: error as HoldfastError };
  }
  if (validBytes > size) return { name, at, fault: new FormatError('Read exFAT entry set', { structure: streamLayout.name, field: 'ValidDataLength', offset: at + ENTRY_BYTES + streamLayout.offsets.ValidDataLength, found: validBytes, expected: `at most ${size}` }) };
  return {
    name, directory, size, validBytes, at, cluster: stream.FirstCluster, contiguous: (stream.GeneralSecondaryFlags & NO_FAT_CHAIN) !== 0,
    strangeHash: upcase !== undefined && nameHash(units, length, upcase) !== stream.NameHash,
    stat: {
      type: directory ? 'directory' : 'file', size: directory ? 0 : size, mode: !directory && (file.FileAttributes & ATTRIBUTE.readOnly) !== 0 ? MODE.readOnly : MODE.all, uid: 0, gid: 0, links: 1, inode,
      modified: exfatTime(file.LastModifiedTimestamp, Math.min(TENS_MAX, file.LastModified10msIncrement), file.LastModifiedUtcOffset),
      accessed: exfatTime(file.LastAccessedTimestamp, 0, file.LastAccessedUtcOffset),
      created: exfatTime(file.CreateTimestamp, Math.min(TENS_MAX, file.Create10msIncrement), file.CreateUtcOffset),
    },
  };
}
