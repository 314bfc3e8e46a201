/** Worlds: the real one and one in memory. */
export { memoryWorld } from './memory-world.ts';
export { nodeWorld } from './node-world.ts';
