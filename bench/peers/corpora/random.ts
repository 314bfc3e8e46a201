/** Incompressible bytes without a repetition: nothing to win but speed. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Corpus } from './corpus.ts';
import { Keystream } from './keystream.ts';

const PIECE_BYTES = 1 << 20;

/** One file of keystream. */
export const randomCorpus: Corpus = {
  name: 'random',
  description: 'AES-CTR keystream, one file',
  versions: 1,
  parameters: (sizes) => ({ bytes: sizes.fileBytes }),
  build([directory = ''], sizes) {
    const stream = new Keystream('holdfast bench random');
    const file = openSync(join(directory, 'random.bin'), 'wx');
    for (let left = sizes.fileBytes; left > 0; left -= PIECE_BYTES) {
      writeSync(file, stream.bytes(Math.min(left, PIECE_BYTES)));
    }
    closeSync(file);
    return Promise.resolve();
  },
};
