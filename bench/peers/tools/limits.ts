/** What the machine allows: copying, reading and hashing the source. No tool that does more can be faster. */
import type { Command } from '../measure.ts';
import { environment, firstLine } from './tool.ts';
import type { Place, Tool } from './tool.ts';

function overFiles(place: Place, source: string, command: string): Command {
  return { argv: ['bash', '-c', `set -o pipefail; find "$1" -type f -print0 | xargs -0 ${command} >/dev/null`, 'bash', source], env: environment(place) };
}

function limit(name: string, note: string, rest: Pick<Tool, 'version' | 'backup' | 'restore'>): Tool {
  return { name, family: name, class: 'limit', codec: 'none', note, init: (place) => [{ argv: ['mkdir', '-p', place.repo], env: environment(place) }], ...rest };
}

/** cp both ways; cat and openssl only read. */
export const limitTools: readonly Tool[] = [
  limit('cp', 'cp -a, to the store and back', {
    version: () => firstLine('cp', '--version'),
    backup: (place, source, sequence) => [{ argv: ['cp', '-a', source, `${place.repo}/s${sequence}`], env: environment(place) }],
    restore: (place, sequence, target) => [{ argv: ['cp', '-a', `${place.repo}/s${sequence}/.`, target], env: environment(place) }],
  }),
  limit('cat', 'reads every file', {
    version: () => firstLine('cat', '--version'),
    backup: (place, source) => [overFiles(place, source, 'cat')],
  }),
  limit('openssl sha256', 'hashes every file', {
    version: () => firstLine('openssl', 'version'),
    backup: (place, source) => [overFiles(place, source, 'openssl dgst -sha256')],
  }),
];
