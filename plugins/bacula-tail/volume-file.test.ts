/**
 * What is remembered of a file is what was stored, not what the file says a moment later. The story: the storage daemon wrote a fresh volume's label over between
 * our reading it and our noting its digest; the new label counted as stored, and the volume in the repository kept the old one. Seen in the lab, once in four runs.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { fixtureVolume } from '../../src/formats/bacula/testdata/fixture.ts';
import { storedState, VolumeFile } from './volume-file.ts';

const LABEL_BYTE = 60;

test('a label that was written over after it was stored is noticed', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'holdfast-volume-file-'));
  try {
    const stored = await fixtureVolume('sparsegzip');
    const relabelled = stored.slice();
    relabelled[LABEL_BYTE] = (relabelled[LABEL_BYTE] ?? 0) ^ 1;
    const name = path.join(directory, 'volume');
    for (const [content, change] of [[stored, 'grown'], [relabelled, 'relabelled']] as const) {
      writeFileSync(name, content);
      const file = await VolumeFile.open(name);
      assert.ok(file !== undefined);
      const state = await storedState(file.inode, stored.length, (at, length) => Promise.resolve(stored.subarray(at, at + length)));
      assert.equal(await file.changeSince(state), change);
      await file.close();
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
