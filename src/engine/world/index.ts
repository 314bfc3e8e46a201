/** Worlds: the real one and one in memory. */
export { makeDirectories } from './make-directories.ts';
export { memoryWorld } from './memory-world.ts';
export { nodeWorld } from './node-world.ts';
