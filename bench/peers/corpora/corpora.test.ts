import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { treeDigest } from '../compare.ts';
import { filesIn } from '../source.ts';
import { prepareCorpus } from './corpus.ts';
import { logsCorpus } from './logs.ts';
import { randomCorpus } from './random.ts';
import { smallCorpus } from './small.ts';

const SIZES = { fileBytes: (1 << 20) + 5, imageBytes: 1, logBytes: 1 << 20, smallFiles: 250 };

function scratch(): string {
  return mkdtempSync(join(tmpdir(), 'corpora-'));
}

test('the same seed and size give the same bytes, another size is built again', async () => {
  const [one, two] = [scratch(), scratch()];
  for (const corpus of [randomCorpus, logsCorpus, smallCorpus]) {
    const directories = await prepareCorpus(corpus, one, SIZES);
    const again = await prepareCorpus(corpus, two, SIZES);
    assert.deepEqual(directories.map(treeDigest), again.map(treeDigest), corpus.name);
    assert.equal(new Set(directories.map(treeDigest)).size, corpus.versions, `${corpus.name}: versions differ`);
  }
  const [random = ''] = await prepareCorpus(randomCorpus, one, { ...SIZES, fileBytes: 77 });
  assert.equal(statSync(join(random, 'random.bin')).size, 77);
  for (const directory of [one, two]) rmSync(directory, { recursive: true });
});

test('a later dump shares most lines with the one before and has the asked size', async () => {
  const cache = scratch();
  const [first = '', second = ''] = await prepareCorpus(logsCorpus, cache, SIZES);
  const lines = (directory: string): string[] => readFileSync(join(directory, 'dump.sql'), 'latin1').split('\n');
  const before = new Set(lines(first));
  const fresh = lines(second).filter((line) => !before.has(line)).length;
  assert.ok(fresh > 0 && fresh < before.size * 0.05, `${fresh} of ${before.size} lines are new`);
  const bytes = statSync(join(first, 'dump.sql')).size;
  assert.ok(Math.abs(bytes / SIZES.logBytes - 1) < 0.05, `${bytes} bytes`);
  rmSync(cache, { recursive: true });
});

test('small files have the sizes that the description says', async () => {
  const cache = scratch();
  const [directory = ''] = await prepareCorpus(smallCorpus, cache, { ...SIZES, smallFiles: 2000 });
  const sizes = [...filesIn(directory)].map((path) => statSync(path).size);
  assert.equal(sizes.length, 2000);
  assert.ok(Math.max(...sizes) <= 16 * 1024);
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  assert.ok(mean > 2700 && mean < 3800, `mean ${mean}`);
  rmSync(cache, { recursive: true });
});
