/** Every file of every volume in `HOLDFAST_CORPUS` (a folder that holds `bacula-public/`) comes back byte for byte; skipped, visibly, without it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';
import { MemorySource, defaultLimits, readRange } from '../../../core/index.ts';
import { sharedBlockHasher } from '../checksum.ts';
import { splitSegment, weave } from './index.ts';

const root = path.join(process.env['HOLDFAST_CORPUS'] ?? '/nonexistent', 'bacula-public');
const skip = existsSync(root) ? false : 'HOLDFAST_CORPUS names no corpus';

test('every volume of the corpus comes back', { skip }, async (t) => {
  const hasher = await sharedBlockHasher();
  let [files, bytes, woven] = [0, 0, 0];
  for (const name of readdirSync(root, { recursive: true }).map(String)) {
    if (path.basename(path.dirname(name)) !== 'volumes') continue;
    const volume = new Uint8Array(readFileSync(path.join(root, name)));
    for (let at = 0; at < volume.length;) {
      const { length, parts } = await splitSegment(new MemorySource(volume), at, { limits: defaultLimits, hasher });
      if (parts !== undefined) {
        const source = await weave(parts);
        assert.equal(Buffer.compare(await readRange(source, 0, source.size), volume.subarray(at, at + length)), 0, `${name} differs behind ${at}`);
        woven += length;
      }
      at += length;
    }
    files += 1;
    bytes += volume.length;
  }
  t.diagnostic(`${files} volumes, ${bytes} bytes, ${woven} of them woven`);
  assert.ok(files >= 60 && woven > 0.99 * bytes, `${files} volumes, ${woven} of ${bytes} bytes woven`);
});
