/** Decoders with bounded output; nothing here reads ahead, keeps state between calls or loads native code. */
export { decodeLzo1x } from './lzo.ts';
export { decodeZlib } from './zlib.ts';
export { decodeZstd } from './zstd.ts';
export { zstdFrames } from './zstd-frames.ts';
