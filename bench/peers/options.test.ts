import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../src/core/index.ts';
import { parseOptions } from './options.ts';

test('defaults are the full run; --smoke makes it tiny', () => {
  const full = parseOptions([]);
  assert.deepEqual([full.rounds, full.media, full.sizes.fileBytes, full.sizes.smallFiles], [3, ['tmpfs', 'disk'], 512 * 2 ** 20, 100_000]);
  const smoke = parseOptions(['--smoke']);
  assert.deepEqual([smoke.rounds, smoke.media, smoke.sizes.fileBytes, smoke.sizes.smallFiles], [1, ['tmpfs'], 32 * 2 ** 20, 1000]);
  assert.equal(parseOptions(['--smoke', '--mib', '8']).sizes.fileBytes, 8 * 2 ** 20);
});

test('wrong arguments are usage errors', () => {
  for (const args of [['--rounds', '0'], ['--rounds', 'x'], ['--media', 'tape'], ['--nonsense']]) {
    assert.throws(() => parseOptions(args), UsageError, args.join(' '));
  }
});
