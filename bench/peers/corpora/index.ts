/** The corpora of the comparison. */
import type { Corpus } from './corpus.ts';
import { imagesCorpus } from './images.ts';
import { logsCorpus } from './logs.ts';
import { randomCorpus } from './random.ts';
import { smallCorpus } from './small.ts';
import { usrCorpus } from './usr.ts';

/** In the order of the table. */
export const allCorpora: readonly Corpus[] = [usrCorpus, randomCorpus, imagesCorpus, logsCorpus, smallCorpus];
