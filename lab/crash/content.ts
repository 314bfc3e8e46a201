/** Trees for workloads: parts that are shared, parts that are new. */
import { directoryNode, fileNode, type MemoryNode } from '../../src/core/testing/memory-tree.ts';
import { seededBytes } from '../../src/core/testing/random.ts';

/** A file of `bytes` random bytes; the same number, the same content. */
export function file(number: number, bytes: number): MemoryNode {
  return fileNode(seededBytes(bytes, number));
}

/** One medium file for each number; the same number, the same file. */
export function files(...numbers: readonly number[]): MemoryNode {
  return directoryNode(Object.fromEntries(numbers.map((number) => [`file ${number}`, file(number, 6_000 + number % 7 * 2_000)])));
}

/** Many small files in directories, and one that fills several containers. */
export function mixed(seed: number): MemoryNode {
  const small = (first: number): MemoryNode =>
    directoryNode(Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`small ${i}`, file(first + i, 300 + i * 211)])));
  return directoryNode({ a: small(seed * 100), b: directoryNode({ inner: small(seed * 100 + 50), 'zeroes': fileNode(new Uint8Array(20_000)) }), large: file(seed * 100 + 99, 70_000), empty: fileNode(new Uint8Array(0)) });
}
