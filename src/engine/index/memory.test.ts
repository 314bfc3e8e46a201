import { chunkIndexSuite } from '../../core/conformance/chunk-index.ts';
import { MemoryIndex } from './memory.ts';

chunkIndexSuite('MemoryIndex', {
  persistent: false,
  create: async () => new MemoryIndex(),
  reopen: async (index) => index,
  dispose: async () => {},
});
