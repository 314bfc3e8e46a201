/** casync: one file per chunk of about 64 KiB, always compressed. */
import type { Command } from '../measure.ts';
import { environment, firstLine } from './tool.ts';
import type { Place, Tool } from './tool.ts';

function command(place: Place, args: readonly string[]): Command {
  return { argv: ['casync', ...args], env: environment(place) };
}

/** casync as it comes; every backup reads the whole source (its encoder cache is off by default). */
export const casyncTools: readonly Tool[] = [
  {
    name: 'casync',
    family: 'casync',
    class: 'zstd',
    codec: 'zstd (default level)',
    note: 'unencrypted; 64 KiB chunks, a file each; no metadata shortcut; syncs nothing',
    version: () => firstLine('casync', '--version'),
    init: (place) => [{ argv: ['mkdir', '-p', place.repo], env: environment(place) }],
    backup: (place, source, sequence) => [
      command(place, ['make', `--store=${place.repo}/store.castr`, `${place.repo}/s${sequence}.caidx`, source]),
    ],
    restore: (place, sequence, target) => [
      command(place, ['extract', `--store=${place.repo}/store.castr`, `${place.repo}/s${sequence}.caidx`, target]),
    ],
  },
];
