import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../src/core/index.ts';
import { parseOptions } from './options.ts';

test('lengths in real and in simulated time', () => {
  const { mode, length, everySeconds } = parseOptions(['--days', '7']);
  assert.deepEqual([mode, length, everySeconds], ['real', 7 * 86_400, 600]);
  assert.deepEqual([parseOptions(['--hours', '2']).length, parseOptions(['--minutes', '0.5']).length, parseOptions(['--minutes', '5']).everySeconds], [7200, 30, 0]);
  const simulated = parseOptions(['--simulated-days', '30', '--seed', '5']);
  assert.deepEqual([simulated.mode, simulated.length, simulated.seed], ['simulated', 30, 5]);
});

test('wrong arguments are usage errors', () => {
  for (const args of [[], ['--days', '1', '--hours', '1'], ['--days', '0'], ['--days', 'x'], ['--nonsense'], ['--days', '1', '--seed', '-1']]) {
    assert.throws(() => parseOptions(args), UsageError, args.join(' '));
  }
});
