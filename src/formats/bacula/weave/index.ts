/** Volumes in parts that a chunking store finds again, and back. Start at `split.ts`. */
export { rawSegment, splitSegment, SEGMENT_BYTES_USUAL, type Segment, type SplitOptions, type WovenParts } from './split.ts';
export { weave } from './weave.ts';
export { blockBytesAt } from './volume-window.ts';
