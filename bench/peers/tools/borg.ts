/** borg: buzhash chunks; its default of about 2 MiB and, as the like-for-like setting, about 16 KiB. */
import type { Command } from '../measure.ts';
import { environment, firstLine } from './tool.ts';
import type { CompressionClass, Place, Tool } from './tool.ts';

/** Minimum 2^12, maximum 2^16, mask 14 bits: about holdfast's 4/16/64 KiB. The window is borg's default. */
const SMALL_CHUNKS = 'buzhash,12,16,14,4095';
const DEFAULT_CHUNKS = 'buzhash,19,23,21,4095';

function borg(name: string, klass: CompressionClass, compression: string, chunker: string): Tool {
  const command = (place: Place, args: readonly string[], cwd?: string): Command => ({
    argv: ['borg', ...args],
    env: environment(place, { BORG_BASE_DIR: place.cache, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' }),
    ...(cwd === undefined ? {} : { cwd }),
  });
  return {
    name,
    family: 'borg',
    class: klass,
    codec: compression,
    note: `unencrypted; chunker ${chunker}; fdatasync and fsync of each segment`,
    version: () => firstLine('borg', '--version'),
    init: (place) => [command(place, ['init', '--encryption', 'none', place.repo])],
    backup: (place, source, sequence) => [
      command(place, ['create', '--compression', compression, `--chunker-params=${chunker}`, `${place.repo}::s${sequence}`, '.'], source),
    ],
    restore: (place, sequence, target) => [command(place, ['extract', `${place.repo}::s${sequence}`], target)],
  };
}

/** borg in both classes, each with both chunk sizes. */
export const borgTools: readonly Tool[] = [
  borg('borg none', 'none', 'none', DEFAULT_CHUNKS),
  borg('borg none 16K', 'none', 'none', SMALL_CHUNKS),
  borg('borg zstd', 'zstd', 'zstd,3', DEFAULT_CHUNKS),
  borg('borg zstd 16K', 'zstd', 'zstd,3', SMALL_CHUNKS),
];
