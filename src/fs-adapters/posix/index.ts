/** Live filesystems of a Linux host: reading them as a tree, restoring into them. */
export * from './file-source.ts';
export * from './posix-tree.ts';
export * from './posix-sink.ts';
export { type SystemCalls, type SystemCapabilities } from './system-calls.ts';
export { loadCalls } from './load-calls.ts';
