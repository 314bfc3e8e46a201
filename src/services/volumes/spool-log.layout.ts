/** An operation in a log of the spool, and how far a log was synced; little of it is ever there: a log goes when what it holds is committed. */
import { layout, type Layout } from '../../core/index.ts';

/** `Checksum` is CRC-32 over the other fields; `DataChecksum` over the bytes of a write, which stand at `DataAt` of the log's data. */
export const operationLayout: Layout<{
  readonly Checksum: 'u32'; readonly Kind: 'u32'; readonly Offset: 'u64'; readonly Length: 'u64'; readonly DataAt: 'u64';
  readonly DataChecksum: 'u32'; readonly Reserved: 'u32'; readonly Time: 'u64';
}> = layout('spool operation', 'be', {
  Checksum: 'u32', Kind: 'u32', Offset: 'u64', Length: 'u64', DataAt: 'u64', DataChecksum: 'u32', Reserved: 'u32', Time: 'u64',
});

/** Kinds of operations: bytes written at an offset, and the volume cut or extended to `Offset`. */
export const OPERATION = { write: 1, truncate: 2 } as const;

/**
 * What the last sync made durable: bytes of the operations' file, and of the data's. `Checksum` is CRC-32 over the other fields. Two of them, in blocks of their own,
 * are written in turn, so that one is whole whenever the other is torn.
 */
export const markerLayout: Layout<{ readonly Checksum: 'u32'; readonly Reserved: 'u32'; readonly OperationBytes: 'u64'; readonly DataBytes: 'u64' }> = layout('spool marker', 'be', {
  Checksum: 'u32', Reserved: 'u32', OperationBytes: 'u64', DataBytes: 'u64',
});

/** Bytes from one marker to the other. */
export const MARKER_STRIDE = 4096;
