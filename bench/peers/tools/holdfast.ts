/** holdfast as a user runs it: the built command line, one process per verb. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from '../measure.ts';
import { environment, firstLine } from './tool.ts';
import type { Place, Tool } from './tool.ts';

const MAIN = fileURLToPath(new URL('../../../cli/holdfast.cjs', import.meta.url));

function holdfast(compression: 'none' | 'zstd'): Tool {
  const command = (place: Place, args: readonly string[]): Command => ({
    argv: [process.execPath, MAIN, ...args],
    env: environment(place),
  });
  return {
    name: `holdfast ${compression}`,
    family: 'holdfast',
    class: compression,
    codec: compression,
    note: 'unencrypted; 4/16/64 KiB chunks; restore verifies every chunk and file; fdatasync and directory sync before the manifest',
    version: () => (existsSync(MAIN) ? (firstLine(process.execPath, MAIN, '--version') ?? 'unknown') : undefined),
    init: (place) => [command(place, ['init', place.repo, '--compression', compression, '--json'])],
    backup: (place, source) => [command(place, ['backup', source, '--repo', place.repo, '--json'])],
    restore: (place, _sequence, target) => [command(place, ['restore', `${place.repo}::latest`, target, '--json'])],
  };
}

/** holdfast in both classes. */
export const holdfastTools: readonly Tool[] = [holdfast('none'), holdfast('zstd')];
