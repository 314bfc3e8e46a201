/** Messages as tables, big-endian. Text beside them: `docs/protocol.md`, section "Messages". */
import { ID_BYTES, PLACE_BYTES, defaultLimits, layout, type Layout } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { GROUP_BYTES, GROUP_CHUNKS_MAX } from '../store/group-builder.ts';
import { GroupCache } from '../store/group-cache.ts';

/** Version of the messages that this build speaks. */
export const WIRE_VERSION = 1;

/** Kinds of messages: requests below 128, answers from there. */
export const MESSAGE = {
  hello: 1, begin: 2, attach: 3, has: 4, put: 5, flush: 6, commit: 7, abandon: 8, locate: 9, record: 10, intact: 11,
  manifests: 12, manifest: 13, resolve: 14, history: 15, statistics: 16, elsewhere: 17, answer: 128, failure: 129,
} as const;

/** Name of a request. */
export type RequestName = Exclude<keyof typeof MESSAGE, 'answer' | 'failure'>;

/** Set in a message whose body goes on in the next one. */
export const MORE = 1;

/** Stands before each message. An answer has the number of its request. */
export const messageHead: Layout<{ readonly kind: 'u8'; readonly flags: 'u8'; readonly zero: 'u16'; readonly request: 'u32' }> = layout('wire message', 'be', {
  kind: 'u8', flags: 'u8', zero: 'u16', request: 'u32',
});

/** Codecs of a put, by number. */
export const putCodecs = ['none', 'zstd'] as const;
/** Kinds of chunks of a put, by number. */
export const putKinds = ['data', 'metadata'] as const;

/** Begins a put; `count` rows of id and u32 length follow, then the payload of `storedLength` bytes. */
export const putHead: Layout<{ readonly kind: 'u8'; readonly codec: 'u8'; readonly zero: 'u16'; readonly count: 'u32'; readonly rawLength: 'u32'; readonly storedLength: 'u32' }> = layout('wire put', 'be', {
  kind: 'u8', codec: 'u8', zero: 'u16', count: 'u32', rawLength: 'u32', storedLength: 'u32',
});

/** Answers a put. */
export const putAnswer: Layout<{ readonly chunksNew: 'u32'; readonly bytesNew: 'u32' }> = layout('wire put answer', 'be', { chunksNew: 'u32', bytesNew: 'u32' });

/** Ids of one request at most. */
export const IDS_MAX = 16_384;
/** Bytes of a request or answer of a few fields. */
const SMALL_BYTES = 65_536;

/** Bytes of the longest body of each request. A manifest's root is base64 in its commit. */
export const bodyBytesMax: Readonly<Record<RequestName, number>> = {
  hello: SMALL_BYTES, begin: SMALL_BYTES, attach: SMALL_BYTES, has: IDS_MAX * ID_BYTES,
  put: putHead.size + GROUP_CHUNKS_MAX * TABLE_ROW_BYTES + GROUP_BYTES, flush: 0, commit: defaultLimits.manifestBytesMax, abandon: 0,
  locate: IDS_MAX * ID_BYTES, record: PLACE_BYTES, intact: IDS_MAX * ID_BYTES, manifests: SMALL_BYTES, manifest: SMALL_BYTES, resolve: SMALL_BYTES,
  history: defaultLimits.manifestBytesMax, statistics: 0, elsewhere: IDS_MAX * ID_BYTES,
};

/** Bytes of the longest answer. */
export const ANSWER_BYTES_MAX: number = Math.max(defaultLimits.manifestBytesMax * 2, GroupCache.recordBytesMax(defaultLimits));
