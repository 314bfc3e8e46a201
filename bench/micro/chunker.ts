/** FastCDC: the WebAssembly kernel against its TypeScript twin. `chunker-c.ts` compares the kernel with C. */
import { CHUNKER_SCRATCH_BYTES, defaultFastCdc, PlainChunker, WasmChunker } from '../../src/engine/chunking/index.ts';
import { Arena } from '../../src/engine/workers/arena.ts';
import { programBytes, randomBytesOf } from './inputs.ts';
import type { Case, Suite } from './suite.ts';

const LENGTH = 4 << 20;

/** Chunks 4 MiB of random bytes and of program files with the default parameters. */
export function chunkerSuite(): Suite {
  const cases = [['random', randomBytesOf(1, LENGTH)], ['/usr', programBytes(LENGTH)]] as const;
  return { title: 'Chunking', unit: 'bytes', cases: cases.flatMap(([group, data]) => casesOf(group, data)) };
}

function casesOf(group: string, data: Uint8Array): readonly Case[] {
  const arena = new Arena(data.length + CHUNKER_SCRATCH_BYTES + 4096);
  const scratch = arena.reserve(CHUNKER_SCRATCH_BYTES);
  const at = arena.reserve(data.length);
  arena.view(at, data.length).set(data);
  const out = new Uint32Array(data.length / 2048);
  const chunkers = [new PlainChunker(defaultFastCdc, new Uint8Array(arena.memory.buffer)), new WasmChunker(defaultFastCdc, arena.memory, scratch)];
  return chunkers.map((chunker) => ({
    name: chunker.implementation, group, amount: data.length, run: () => { chunker.cuts(at, data.length, true, out); },
  }));
}
