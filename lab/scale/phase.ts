/** One phase of the scale scenario in a process of its own: `node phase.js PHASE REPOSITORY FIRST END`; prints one JSON object. */
import type { Repository as OpenRepository } from '../../src/engine/index.ts';
import { keepProcessSmall } from '../../src/services/process-memory.ts';
import { peakMegabytes } from '../peak.ts';

// As the command line does, before anything else is loaded: the promise of bounded memory is made for it.
keepProcessSmall();
const { Repository, nodeWorld } = await import('../../src/engine/index.ts');
const { BLOCK_BYTES, BlockTree } = await import('./blocks.ts');

const [phase = '', directory = '', first = '0', end = '0'] = process.argv.slice(2);
const world = nodeWorld(directory);

async function withRepository<T>(use: (repository: OpenRepository) => Promise<T>): Promise<T> {
  const repository = await Repository.open(world, { mode: 'write' });
  try {
    return await use(repository);
  } finally {
    await repository.close();
  }
}

const phases: Readonly<Record<string, () => Promise<object>>> = {
  init: async () => {
    await (await Repository.create(world, { fixedBlockBytes: BLOCK_BYTES })).close();
    return {};
  },
  ingest: () => withRepository((repository) => repository.backup(new BlockTree(Number(first), Number(end)), { sources: [`/blocks/${first}`], host: 'scale', chunking: 'fixed' })),
  gc: () => withRepository((repository) => repository.collect({ maxUnused: 0 })),
  check: () => withRepository((repository) => repository.check({ onProblem: ({ kind, where, message }) => { process.stderr.write(`${kind} ${where}: ${message}\n`); } })),
  rebuild: () => Repository.rebuildIndex(world),
  'forget-first': () => withRepository(async (repository) => {
    const [oldest] = await repository.snapshots();
    await repository.forget([oldest?.id ?? '']);
    return {};
  }),
};

const run = phases[phase];
if (run === undefined) throw new Error(`Run a phase: there is no '${phase}'`);
const begun = process.hrtime.bigint();
const result = await run();
const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
const { user, system } = process.cpuUsage();
const cpuSeconds = (user + system) / 1e6;
process.stdout.write(`${JSON.stringify({ result, seconds, cpuSeconds, peakMegabytes: peakMegabytes('self') })}\n`);
