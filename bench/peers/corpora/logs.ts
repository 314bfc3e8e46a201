/** Ten dumps of a growing table: rows inserted in the middle, some changed, some deleted, more appended. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Corpus } from './corpus.ts';
import { Keystream } from './keystream.ts';

const ROW_BYTES_MEAN = 136;
const WORDS = ['alpha', 'bravo', 'cargo', 'delta', 'ember', 'forge', 'gauge', 'hotel', 'ivory', 'joker', 'kiosk', 'lunar', 'metro', 'nylon', 'orbit', 'piano'];
const STATES = ['new', 'paid', 'packed', 'shipped', 'returned'];

/** One row of the dump; a pure function of its seed, a 32-bit number. */
export function dumpRow(seed: number): string {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  const next = (): number => {
    // xorshift32: cheap, and plenty for text that only has to look like data
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0);
  };
  next();
  const word = (): string => WORDS[next() & 15] ?? '';
  const date = `20${10 + (next() % 15)}-${pad(1 + (next() % 12))}-${pad(1 + (next() % 28))} ${pad(next() % 24)}:${pad(next() % 60)}:${pad(next() % 60)}`;
  const text = Array.from({ length: 4 + (next() % 6) }, word).join(' ');
  return `INSERT INTO orders VALUES (${seed},'${word()}-${next().toString(36)}','${date}',${next() % 100000}.${pad(next() % 100)},'${STATES[next() % 5]}','${text}');\n`;
}

function pad(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** Edits of one day, relative to the table's size: clustered, as real tables change. */
function nextVersion(rows: readonly number[], random: Keystream): number[] {
  const edited: number[] = [];
  const clusters = Math.max(1, Math.floor(rows.length / 4000));
  const step = Math.floor(rows.length / clusters);
  for (let start = 0; start < rows.length; start += step) {
    const cluster = rows.slice(start, start + step);
    const at = random.below(cluster.length);
    const fresh = Array.from({ length: 1 + random.below(20) }, () => random.below(2 ** 32));
    const kind = random.below(4); // half insert, a quarter each change or delete
    cluster.splice(at, kind === 2 ? fresh.length : kind === 3 ? 5 : 0, ...(kind === 3 ? [] : fresh));
    edited.push(...cluster);
  }
  for (let added = Math.floor(rows.length / 200); added > 0; added--) edited.push(random.below(2 ** 32));
  return edited;
}

function writeDump(path: string, rows: readonly number[]): void {
  const file = openSync(path, 'wx');
  writeSync(file, '-- dump of table orders\nSET NAMES utf8;\n');
  for (let at = 0; at < rows.length; at += 10_000) writeSync(file, rows.slice(at, at + 10_000).map(dumpRow).join(''));
  writeSync(file, '-- end\n');
  closeSync(file);
}

/** The whole dump is written again each time, as dump programs do. */
export const logsCorpus: Corpus = {
  name: 'logs',
  description: 'SQL dumps of one table, 10 versions with insertions, changes, deletions and growth',
  versions: 10,
  parameters: (sizes) => ({ bytes: sizes.logBytes }),
  build(directories, sizes) {
    const random = new Keystream('holdfast bench logs');
    let rows = Array.from({ length: Math.floor(sizes.logBytes / ROW_BYTES_MEAN) }, () => random.below(2 ** 32));
    for (const directory of directories) {
      writeDump(join(directory, 'dump.sql'), rows);
      rows = nextVersion(rows, random);
    }
    return Promise.resolve();
  },
};
