/**
 * Values that have blocks of their own: large attributes and long symbolic links. In version 5, each block of an attribute has a header, and
 * each run of blocks of a symbolic link.
 * Source: "XFS Algorithms & Data Structures", "Remote Attribute Values", "Symbolic Links".
 */
import { FormatError, LimitError, readRange } from '../../../core/index.ts';
import type { BlockFinder } from './file-map.ts';
import type { MetadataReader } from './metadata.ts';
import { type BlockFamily, REMOTE_HEADER } from './xfs.layout.ts';

/** Where a value is in its fork. */
export interface RemoteValue {
  readonly family: BlockFamily;
  readonly magic: number;
  readonly owner: number;
  /** First block of the fork. */
  readonly block: number;
  /** Bytes of the value. */
  readonly length: number;
  readonly lengthMax: number;
  /** The row of the limit, for the error. */
  readonly limit: string;
  /** Whether one header stands for all blocks that follow each other on the device. */
  readonly runs: boolean;
}

/** @throws {FormatError} @throws {IntegrityError} @throws {LimitError} */
export async function readRemote(metadata: MetadataReader, finder: BlockFinder, value: RemoteValue): Promise<Uint8Array> {
  const { geometry, source } = metadata;
  const { blockBytes } = geometry.facts;
  if (value.length > value.lengthMax) throw new LimitError(value.limit, value.length, value.lengthMax, `${value.family.name} of inode '${value.owner}'`);
  const bytes = new Uint8Array(value.length);
  // The last block may be one more than the value without headers would need.
  const end = value.block + Math.ceil(value.length / (blockBytes - (geometry.isV5 ? REMOTE_HEADER : 0)));
  let { block } = value;
  for (let done = 0; done < bytes.length;) {
    const fault = (field: string, found: number, expected: string): FormatError => new FormatError(`Read XFS value of inode '${value.owner}'`, { structure: value.family.name, field, found, expected });
    const mapping = await finder.find(block);
    if (mapping.block === undefined) throw fault('block', block, 'no hole inside a value');
    const at = geometry.blockAt(mapping.block);
    const count = value.runs ? Math.max(1, Math.min(mapping.count, end - block)) : 1;
    const runBytes = count * blockBytes;
    block += count;
    if (!geometry.isV5) {
      const length = Math.min(runBytes, bytes.length - done);
      if (at + length > source.size) throw fault('block', at, `bytes before the end '${source.size}' of the device`);
      bytes.set(await readRange(source, at, length), done);
      done += length;
      continue;
    }
    const view = await metadata.block([{ at, length: runBytes }], { family: value.family, magics: [value.magic], owner: value.owner });
    const length = view.getUint32(8);
    if (view.getUint32(4) !== done) throw fault('offset', view.getUint32(4), String(done));
    if (length === 0 || length > runBytes - REMOTE_HEADER || done + length > bytes.length) throw fault('bytes', length, `1 to ${Math.min(runBytes - REMOTE_HEADER, bytes.length - done)}`);
    bytes.set(new Uint8Array(view.buffer, view.byteOffset + REMOTE_HEADER, length), done);
    done += length;
  }
  return bytes;
}
