/**
 * kill -9 of a process that writes a volume, at random moments of writing, syncing and committing: whoever opens the spool next finds everything that was synced, byte for
 * byte, can go on, and ends with the same volume. One round here; `HOLDFAST_CRASH_ROUNDS` for more, `HOLDFAST_SEED` to repeat.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { readRange } from '../../core/index.ts';
import { seededRandom } from '../../core/testing/random.ts';
import { createRepository, openRepository } from '../repositories.ts';
import { openStoredVolume } from './volume-report.ts';
import { VolumeShelf } from './shelf.ts';
import { numberedBlocks } from './testing/numbered-volume.ts';

const writer = fileURLToPath(new URL('./testing/crash-writer.js', import.meta.url));

/** Runs the writer until it ends or is killed after `killMs`. @returns the last size it said was durable, and whether it ended. */
function runWriter(places: readonly string[], killMs: number | undefined): Promise<{ readonly synced: number; readonly isDone: boolean; readonly commits: number }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [writer, ...places], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (bytes: Buffer) => {
      // The clock begins with the first sign of life, so that the kill falls into the work.
      if (text === '' && killMs !== undefined) setTimeout(() => { child.kill('SIGKILL'); }, killMs);
      text += bytes.toString();
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code !== 0 && signal !== 'SIGKILL') return reject(new Error(`writer ended with ${code ?? signal}`));
      const sizes = [...text.matchAll(/^(?:synced|done) (\d+)$/gm)].map((match) => Number(match[1]));
      resolve({ synced: sizes.at(-1) ?? 0, isDone: text.includes('done '), commits: text.split('committed ').length - 1 });
    });
  });
}

test('what was synced survives kill -9, and the volume can be finished', async (t) => {
  const seed = Number(process.env['HOLDFAST_SEED'] ?? Date.now() % 1e6);
  t.diagnostic(`HOLDFAST_SEED=${seed}`);
  const random = seededRandom(seed);
  const expected = Buffer.concat(await numberedBlocks('Vol', 250));
  for (let round = 0; round < Number(process.env['HOLDFAST_CRASH_ROUNDS'] ?? 1); round += 1) {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-shelf-'));
    const [repositoryPath, spool] = [path.join(root, 'repository'), path.join(root, 'spool')];
    await (await createRepository(repositoryPath)).close();
    let kills = 0;
    for (let isDone = false; !isDone;) {
      const killMs = kills < 4 ? Math.floor(random() * random() * 600) : undefined;
      const ran = await runWriter([repositoryPath, spool, String(seed + round * 100 + kills)], killMs);
      isDone = ran.isDone;
      if (!isDone) kills += 1;
      const repository = await openRepository(repositoryPath, { mode: 'write', index: 'memory', workers: 0 });
      const shelf = await VolumeShelf.open(repository, { spool, host: 'h' });
      const volume = await shelf.open('Vol', { create: true });
      assert.ok(volume.size >= ran.synced, `round ${round}, kill ${kills}: ${volume.size} bytes are left of ${ran.synced} that were synced`);
      const found = new Uint8Array(volume.size);
      await volume.readInto(0, found);
      assert.equal(Buffer.compare(found, expected.subarray(0, found.length)), 0, `round ${round}, kill ${kills}: other bytes`);
      await volume.close();
      await shelf.close();
      await repository.close();
    }
    const repository = await openRepository(repositoryPath);
    const stored = await openStoredVolume(repository, 'Vol', 'h');
    assert.equal(Buffer.compare(await readRange(stored, 0, stored.size), expected), 0);
    await stored.close();
    await repository.close();
    fs.rmSync(root, { recursive: true });
    t.diagnostic(`round ${round}: ${kills} kills`);
  }
});
