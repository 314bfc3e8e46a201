/** The head of a tar of /usr: programs, libraries, text, as one file. */
import { join } from 'node:path';
import { run } from '../measure.ts';
import type { Corpus } from './corpus.ts';

/** Depends on what the machine has installed; sorted and with fixed times, so it repeats on the same machine. */
export const usrCorpus: Corpus = {
  name: 'usr',
  description: 'head of tar(/usr), one file',
  versions: 1,
  parameters: (sizes) => ({ bytes: sizes.fileBytes }),
  async build([directory = ''], sizes) {
    // No pipefail: head closing the pipe early is the point.
    const script = 'tar --sort=name --mtime=@0 --numeric-owner -C / -cf - usr 2>/dev/null | head -c "$1" > "$2"';
    const argv = ['bash', '-c', script, 'bash', String(sizes.fileBytes), join(directory, 'usr.tar')];
    await run([{ argv, env: { PATH: process.env['PATH'] ?? '', LANG: 'C' } }]);
  },
};
