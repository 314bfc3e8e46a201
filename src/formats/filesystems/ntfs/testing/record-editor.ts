/** Changes records of an image in memory and makes their update sequences good again, so that damage reaches what lies deeper. */
import { parseBoot } from '../boot.ts';

const STRIDE = 512;

/** A record or index block in an image. */
export interface EditedBlock {
  /** Offset in the image. */
  readonly at: number;
  readonly bytes: number;
}

function viewOf(image: Uint8Array, { at, bytes }: EditedBlock): DataView {
  return new DataView(image.buffer, image.byteOffset + at, bytes);
}

/** Blocks with an update sequence and this signature (`FILE`, `INDX`), in the order of the image. */
export function findBlocks(image: Uint8Array, signature: string): readonly EditedBlock[] {
  const { recordBytes, indexBytes } = parseBoot(image.subarray(0, 512), 0);
  const bytes = signature === 'FILE' ? recordBytes : indexBytes;
  const found: EditedBlock[] = [];
  const all = Buffer.from(image.buffer, image.byteOffset, image.byteLength);
  for (let at = all.indexOf(signature); at >= 0; at = all.indexOf(signature, at + 1)) {
    if (at % STRIDE === 0 && at + bytes <= image.length && viewOf(image, { at, bytes }).getUint16(6, true) === bytes / STRIDE + 1) found.push({ at, bytes });
  }
  return found;
}

/** The place of a record by its number; the table of the image is taken to be in one piece up to there. */
export function recordBlock(image: Uint8Array, number: number): EditedBlock {
  const { mftCluster, clusterBytes, recordBytes } = parseBoot(image.subarray(0, 512), 0);
  return { at: mftCluster * clusterBytes + number * recordBytes, bytes: recordBytes };
}

/** Undoes the update sequence, lets `change` work on the plain bytes, and does it again. Of the sequence itself, nothing changes. */
export function editBlock(image: Uint8Array, block: EditedBlock, change: (bytes: Uint8Array, view: DataView) => void): void {
  const view = viewOf(image, block);
  const sequenceAt = view.getUint16(4, true);
  const ends = Array.from({ length: block.bytes / STRIDE }, (_, i) => (i + 1) * STRIDE - 2);
  const sequence = view.getUint16(sequenceAt, true);
  for (const [i, end] of ends.entries()) view.setUint16(end, view.getUint16(sequenceAt + 2 * i + 2, true), true);
  change(image.subarray(block.at, block.at + block.bytes), view);
  view.setUint16(sequenceAt, sequence, true);
  for (const [i, end] of ends.entries()) {
    view.setUint16(sequenceAt + 2 * i + 2, view.getUint16(end, true), true);
    view.setUint16(end, sequence, true);
  }
}

/** Offset in a record's plain bytes of its first attribute of a type. */
export function attributeAt(view: DataView, type: number): number {
  for (let at = view.getUint16(20, true); at < view.byteLength; at += view.getUint32(at + 4, true)) {
    const found = view.getUint32(at, true);
    if (found === type) return at;
    if (found === 0xffff_ffff) break;
  }
  throw new RangeError(`no attribute of type 0x${type.toString(16)}`);
}
