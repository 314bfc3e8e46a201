/** restic: content-defined chunks of about 1 MiB, two packers, always encrypted. */
import type { Command } from '../measure.ts';
import { environment, firstLine } from './tool.ts';
import type { Place, Tool } from './tool.ts';

const NOTE = 'repository version 2; always encrypts and authenticates (AES-256-CTR, Poly1305); 512 KiB-8 MiB chunks; about 0.6 s of each command is its password hash; fsync of each pack';

function restic(name: string, klass: 'none' | 'zstd', compression: 'off' | 'auto'): Tool {
  const command = (place: Place, args: readonly string[], cwd?: string): Command => ({
    argv: ['restic', '--quiet', '--repo', place.repo, '--cache-dir', `${place.cache}/restic`, ...args],
    env: environment(place, { RESTIC_PASSWORD: 'bench' }),
    ...(cwd === undefined ? {} : { cwd }),
  });
  return {
    name,
    family: 'restic',
    class: klass,
    codec: compression === 'off' ? 'none' : 'zstd (auto)',
    note: NOTE,
    version: () => firstLine('restic', 'version'),
    init: (place) => [command(place, ['init', '--repository-version', '2'])],
    backup: (place, source) => [command(place, ['--compression', compression, 'backup', '.'], source)],
    restore: (place, _sequence, target) => [command(place, ['restore', 'latest', '--target', target])],
    restoreVerified: (place, _sequence, target) => [command(place, ['restore', 'latest', '--verify', '--target', target])],
  };
}

/** restic without and with compression. */
export const resticTools: readonly Tool[] = [restic('restic off', 'none', 'off'), restic('restic auto', 'zstd', 'auto')];
