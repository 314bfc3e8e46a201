import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatBytes, formatProgress, formatSeconds } from './progress.ts';

describe('progress', () => {
  test('bytes have three digits and a decimal unit', () => {
    assert.deepEqual([0, 999, 1_000, 999_499, 999_500, 1.5e9].map(formatBytes), ['0 B', '999 B', '1.00 kB', '999 kB', '1.00 MB', '1.50 GB']);
  });

  test('times look like a clock', () => {
    assert.deepEqual([0, 59.6, 61, 3_661].map(formatSeconds), ['0:00', '1:00', '1:01', '1:01:01']);
  });

  test('a bar needs totals; without them there is what was done', () => {
    assert.equal(formatProgress('backup', { files: 1_234, bytes: 5e6, totalBytes: 1e7 }, 10), 'backup [########........] 50 % 1,234 files, 5.00 MB, 500 kB/s, 0:10 left');
    assert.equal(formatProgress('backup', { files: 2, bytes: 5e6 }, 10), 'backup: 2 files, 5.00 MB, 500 kB/s, 0:10 so far');
    assert.equal(formatProgress('check', { files: 1, bytes: 0, totalFiles: 4, unit: 'containers' }, 2), 'check [####............] 25 % 1 containers, 0:06 left');
  });

  test('more than was expected is not more than all', () => {
    assert.match(formatProgress('backup', { files: 9, bytes: 30, totalBytes: 10 }, 1), /^backup \[#{16}\] 100 %/);
  });
});
