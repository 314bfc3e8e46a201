/** The tools of the comparison. */
import { borgTools } from './borg.ts';
import { bupTools } from './bup.ts';
import { casyncTools } from './casync.ts';
import { holdfastTools } from './holdfast.ts';
import { limitTools } from './limits.ts';
import { resticTools } from './restic.ts';
import type { Tool } from './tool.ts';
import { zbackupTools } from './zbackup.ts';

/** In the order of the table: holdfast, peers, limits. */
export const allTools: readonly Tool[] = [...holdfastTools, ...resticTools, ...borgTools, ...bupTools, ...casyncTools, ...zbackupTools, ...limitTools];
