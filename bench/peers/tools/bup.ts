/** bup: 8 KiB chunks in git packs. zlib level 0 stands in the uncompressed class. */
import type { Command } from '../measure.ts';
import { environment, firstLine } from './tool.ts';
import type { CompressionClass, Place, Tool } from './tool.ts';

function bup(name: string, klass: CompressionClass, level: 0 | 1): Tool {
  const command = (place: Place, args: readonly string[], cwd?: string): Command => ({
    argv: ['bup', ...args],
    env: environment(place, { BUP_DIR: place.repo }),
    ...(cwd === undefined ? {} : { cwd }),
  });
  const indexFile = (place: Place): string => `${place.cache}/bupindex`;
  return {
    name,
    family: 'bup',
    class: klass,
    codec: `zlib -${level}`,
    note: 'unencrypted; 8 KiB chunks; index and save both timed; fsync of each pack',
    version: () => firstLine('bup', '--version'),
    init: (place) => [command(place, ['init'])],
    backup: (place, source) => [
      command(place, ['index', '-f', indexFile(place), '.'], source),
      command(place, ['save', '-q', `-${level}`, '-f', indexFile(place), '-n', 'bench', '--strip', '.'], source),
    ],
    // Ends with 1 on tmpfs, where it cannot set the 'extents' attribute; the content comparison still decides.
    restore: (place, _sequence, target) => [{ ...command(place, ['restore', '-q', '-C', target, '/bench/latest/.']), alsoDone: [1] }],
  };
}

/** bup stored and at its default compression. */
export const bupTools: readonly Tool[] = [bup('bup -0', 'none', 0), bup('bup -1', 'zstd', 1)];
