/** The end of a sealed container: a table of its groups and a digest over that table. */
import { createHash } from 'node:crypto';
import { FormatError, equalBytes, type ObjectReader, type Limits } from '../../core/index.ts';
import { crc32c } from '../../core/crc32c.ts';
import {
  CONTAINER_VERSION, FOOTER_MAGIC, FOOTER_ROW_BYTES, TRAILER_MAGIC, containerHeader, containerTrailer, footerHeader, sealingHeader,
} from './container.layout.ts';

/** One group as the footer lists it; offset and length in bytes within the container. */
export interface FooterRow {
  readonly offset: number;
  readonly length: number;
  readonly chunkCount: number;
}

/** Encodes footer and trailer for a container whose groups end at `dataEnd`. */
export function encodeFooter(rows: readonly FooterRow[], dataEnd: number): Uint8Array {
  const length = footerHeader.size + rows.length * FOOTER_ROW_BYTES;
  const bytes = new Uint8Array(length + containerTrailer.size);
  const chunkCount = rows.reduce((sum, row) => sum + row.chunkCount, 0);
  bytes.set(footerHeader.encode({ magic: FOOTER_MAGIC, version: CONTAINER_VERSION, flags: 0, groupCount: rows.length, chunkCount, dataEnd }));
  const view = new DataView(bytes.buffer);
  rows.forEach((row, i) => {
    const at = footerHeader.size + i * FOOTER_ROW_BYTES;
    view.setUint32(at, row.offset);
    view.setUint32(at + 4, row.length);
    view.setUint32(at + 8, row.chunkCount);
  });
  const digest = createHash('sha256').update(bytes.subarray(0, length)).digest();
  const trailer = containerTrailer.encode({ digest, footerLength: length, trailerCrc32c: 0, magic: TRAILER_MAGIC });
  new DataView(trailer.buffer).setUint32(containerTrailer.offsets.trailerCrc32c, crc32c(trailer.subarray(0, containerTrailer.offsets.trailerCrc32c)));
  bytes.set(trailer, length);
  return bytes;
}

function fault(field: string, offset: number, found: number | string, expected: number | string): FormatError {
  return new FormatError('Read container footer', { structure: 'footer', field, offset, found, expected });
}

function parseRows(bytes: Uint8Array, start: number): readonly FooterRow[] {
  const head = footerHeader.view(bytes, 0, start);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows: FooterRow[] = [];
  const isSealed = head.groupCount > 0 && view.getUint32(footerHeader.size) !== containerHeader.size;
  let next: number = containerHeader.size + (isSealed ? sealingHeader.size : 0);
  for (let i = 0; i < head.groupCount; i += 1) {
    const at = footerHeader.size + i * FOOTER_ROW_BYTES;
    const row = { offset: view.getUint32(at), length: view.getUint32(at + 4), chunkCount: view.getUint32(at + 8) };
    if (row.offset !== next) throw fault('row.offset', start + at, row.offset, next);
    next += row.length;
    rows.push(row);
  }
  if (next !== start || head.dataEnd !== start) throw fault('dataEnd', start, head.dataEnd, next);
  return rows;
}

/**
 * Reads the footer of a container.
 * @returns undefined when the file does not end in a trailer: it was never sealed (or is cut).
 * @throws {FormatError} when there is a trailer, but the footer is damaged.
 */
export async function readFooter(file: ObjectReader, limits: Limits): Promise<readonly FooterRow[] | undefined> {
  if (file.size < containerHeader.size + footerHeader.size + containerTrailer.size || file.size > limits.containerBytesMax) return undefined;
  const at = file.size - containerTrailer.size;
  const trailerBytes = new Uint8Array(containerTrailer.size);
  await file.readInto(at, trailerBytes);
  const trailer = containerTrailer.view(trailerBytes, 0, at);
  if (trailer.magic !== TRAILER_MAGIC) return undefined;
  const crc = crc32c(trailerBytes.subarray(0, containerTrailer.offsets.trailerCrc32c));
  if (trailer.trailerCrc32c !== crc) throw fault('trailerCrc32c', at, trailer.trailerCrc32c, crc);
  const start = at - trailer.footerLength;
  if (start < containerHeader.size || trailer.footerLength < footerHeader.size) throw fault('footerLength', at, trailer.footerLength, 'a footer inside the container');
  const bytes = new Uint8Array(trailer.footerLength);
  await file.readInto(start, bytes);
  if (!equalBytes(createHash('sha256').update(bytes).digest(), trailer.digest)) throw fault('digest', start, 'another digest', 'the digest in the trailer');
  const head = footerHeader.view(bytes, 0, start);
  if (head.magic !== FOOTER_MAGIC) throw fault('magic', start, head.magic, FOOTER_MAGIC);
  if (head.version !== CONTAINER_VERSION) throw fault('version', start, head.version, CONTAINER_VERSION);
  const expected = footerHeader.size + head.groupCount * FOOTER_ROW_BYTES;
  if (trailer.footerLength !== expected) throw fault('footerLength', at, trailer.footerLength, expected);
  return parseRows(bytes, start);
}
