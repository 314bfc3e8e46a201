/** A process for `crash.test.ts` to kill: writes a numbered volume, tells each size that `sync` made durable, commits now and then. */
import * as fs from 'node:fs';
import { seededRandom } from '../../../core/testing/random.ts';
import { openRepository } from '../../repositories.ts';
import { VolumeShelf } from '../shelf.ts';
import { numberedBlocks } from './numbered-volume.ts';

const [repositoryPath = '', spool = '', seedText = '0'] = process.argv.slice(2);
const random = seededRandom(Number(seedText));
const repository = await openRepository(repositoryPath, { mode: 'write', index: 'memory', workers: 0 });
const shelf = await VolumeShelf.open(repository, { spool, host: 'h', commitBytes: 2 ** 40 });
const volume = await shelf.open('Vol', { create: true });
const blocks = await numberedBlocks('Vol', 250);
let at = 0;
for (const [i, block] of blocks.entries()) {
  if (at >= volume.size) await volume.write(at, block);
  at += block.length;
  if (at < volume.size) continue;
  if (random() < 0.4) {
    await volume.sync();
    fs.writeSync(1, `synced ${at}\n`);
  }
  if (random() < 0.15) void volume.commit().then(() => { fs.writeSync(1, `committed ${i}\n`); });
}
await volume.close();
await shelf.close();
await repository.close();
fs.writeSync(1, `done ${at}\n`);
