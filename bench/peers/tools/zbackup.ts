/** zbackup: deduplicates one stream, so a tree goes through tar on the way in and out. */
import type { Command } from '../measure.ts';
import { environment } from './tool.ts';
import type { Place, Tool } from './tool.ts';
import { spawnSync } from 'node:child_process';

/** zbackup has no version option: it prints its version, on standard error, above its usage text. */
function version(): string | undefined {
  const result = spawnSync('zbackup', ['--help'], { encoding: 'utf8' });
  return /ZBackup.*version [\d.]+/.exec(`${result.stdout}${result.stderr}`)?.[0];
}

function zbackup(codec: 'lzo' | 'lzma'): Tool {
  const flags = ['--silent', '--non-encrypted'];
  const pipe = (place: Place, script: string, args: readonly string[]): Command => ({
    argv: ['bash', '-c', `set -o pipefail; ${script}`, 'bash', ...args],
    env: environment(place),
  });
  return {
    name: `zbackup ${codec}`,
    family: 'zbackup',
    class: 'zstd',
    codec,
    note: 'unencrypted; 64 KiB chunks, rolling match at any offset; through tar, no metadata shortcut; syncs nothing',
    // lzma needs minutes for half a gigabyte.
    onRequest: codec === 'lzma',
    version,
    init: (place) => [{ argv: ['zbackup', ...flags, 'init', place.repo], env: environment(place) }],
    backup: (place, source, sequence) => [
      pipe(place, `tar -C "$1" -cf - . | zbackup ${flags.join(' ')} -o bundle.compression_method=${codec} backup "$2"`, [
        source,
        `${place.repo}/backups/s${sequence}`,
      ]),
    ],
    restore: (place, sequence, target) => [
      pipe(place, `zbackup ${flags.join(' ')} restore "$1" | tar -C "$2" -xf -`, [`${place.repo}/backups/s${sequence}`, target]),
    ],
  };
}

/** zbackup with its fast and, on request, its default codec. */
export const zbackupTools: readonly Tool[] = [zbackup('lzo'), zbackup('lzma')];
