/** Many small files: half text, half incompressible, about a hundred to a directory. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Corpus } from './corpus.ts';
import { Keystream } from './keystream.ts';
import { dumpRow } from './logs.ts';

const SIZE_MAX = 16 * 1024;
const FILES_PER_DIRECTORY = 100;

function textBytes(random: Keystream, size: number): Buffer {
  let text = '';
  while (text.length < size) text += dumpRow(random.below(2 ** 32));
  return Buffer.from(text.slice(0, size), 'latin1');
}

/** Sizes 0 to 16 KiB, skewed to the small end: mean 3.2 KiB, so 100 000 files are about 320 MB. */
export const smallCorpus: Corpus = {
  name: 'small',
  description: 'files of 0-16 KiB, half text, half random, 100 to a directory',
  versions: 1,
  parameters: (sizes) => ({ files: sizes.smallFiles }),
  build([directory = ''], sizes) {
    const random = new Keystream('holdfast bench small');
    for (let file = 0; file < sizes.smallFiles; file++) {
      const folder = join(directory, `d${String(Math.floor(file / FILES_PER_DIRECTORY)).padStart(4, '0')}`);
      if (file % FILES_PER_DIRECTORY === 0) mkdirSync(folder);
      const size = Math.floor((SIZE_MAX + 1) * random.fraction() ** 4);
      const isText = random.below(2) === 0;
      writeFileSync(join(folder, `f${file}.${isText ? 'txt' : 'bin'}`), isText ? textBytes(random, size) : random.bytes(size));
    }
    return Promise.resolve();
  },
};
