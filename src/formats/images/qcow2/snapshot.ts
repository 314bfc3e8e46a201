/** Internal snapshots of a qcow2 image. Source: QEMU documentation, `docs/interop/qcow2.txt`, section "Snapshots". */
import { type BlockSource, checkLimit, FormatError, type Limits, readRange, textOf } from '../../../core/index.ts';
import type { SnapshotFacts } from '../image.ts';
import type { Qcow2Header } from './header.ts';
import { snapshotExtraLayout, snapshotLayout } from './qcow2.layout.ts';

/** A snapshot with the place of its table. */
export interface Qcow2Snapshot extends SnapshotFacts {
  readonly l1Offset: number;
  readonly l1Entries: number;
}

/** Extra data is 24 bytes today; this leaves room for what is added. */
const EXTRA_BYTES_MAX = 1024;

/** All snapshots, in the image's order. @throws {FormatError} @throws {LimitError} */
export async function readSnapshots(file: BlockSource, header: Qcow2Header, limits: Limits): Promise<readonly Qcow2Snapshot[]> {
  const found: Qcow2Snapshot[] = [];
  let at = header.snapshots.offset;
  for (let i = 0; i < header.snapshots.count; i += 1) {
    const head = snapshotLayout.view(await range(file, at, snapshotLayout.size), 0, at);
    const { id_str_size: idBytes, name_size: nameBytes, extra_data_size: extraBytes } = head;
    if (extraBytes > EXTRA_BYTES_MAX) throw fault('extra_data_size', at, extraBytes, `at most ${EXTRA_BYTES_MAX}`);
    const rest = await range(file, at + snapshotLayout.size, extraBytes + idBytes + nameBytes);
    const l1Entries = head.l1_size;
    checkLimit(limits, 'imageDirectoryBytesMax', l1Entries * 8, 'qcow2 snapshot.l1_size');
    checkLimit(limits, 'imageTextBytesMax', at - header.snapshots.offset, 'qcow2 snapshot table');
    found.push({
      id: textOf(rest.subarray(extraBytes, extraBytes + idBytes)), name: textOf(rest.subarray(extraBytes + idBytes)), timeMs: head.date_sec * 1000 + Math.floor(head.date_nsec / 1e6),
      size: extraBytes >= snapshotExtraLayout.size ? snapshotExtraLayout.view(rest, 0, at).virtual_disk_size : header.size,
      l1Offset: head.l1_table_offset, l1Entries,
    });
    at += Math.ceil((snapshotLayout.size + rest.length) / 8) * 8;
  }
  return found;
}

function fault(field: string, offset: number, found: number, expected: string): FormatError {
  return new FormatError('Read qcow2 snapshot', { structure: snapshotLayout.name, field, offset, found, expected });
}

function range(file: BlockSource, at: number, length: number): Promise<Uint8Array> {
  if (at + length > file.size) throw fault('table', at, length, `an end before that of the file, ${file.size}`);
  return readRange(file, at, length);
}
