/** Real contents before and after a change. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allCorpora } from '../peers/corpora/index.ts';
import { prepareCorpus } from '../peers/corpora/corpus.ts';
import type { CorpusSizes } from '../peers/options.ts';

/** One set of contents in two versions. */
export interface Pair {
  readonly name: string;
  readonly change: string;
  readonly before: readonly Uint8Array[];
  readonly after: readonly Uint8Array[];
  /** Cut in fixed blocks. */
  readonly isImage: boolean;
}

/** Smaller files are one chunk in any case. */
const FILE_BYTES_MIN = 64 << 10;

function* filesBelow(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

/** Files of this machine's /usr/lib, and the same with one byte inserted into each at a place that its size decides. */
function usrLib(bytesMax: number): Pair {
  const before: Uint8Array[] = [];
  let total = 0;
  for (const path of filesBelow('/usr/lib')) {
    if (lstatSync(path).size < FILE_BYTES_MIN || lstatSync(path).size > 16 << 20) continue;
    if (total >= bytesMax) break;
    const content = readFileSync(path);
    before.push(content);
    total += content.length;
  }
  const after = before.map((content) => {
    const at = Math.floor(content.length * 0.618);
    return Buffer.concat([content.subarray(0, at), Buffer.of(7), content.subarray(at)]);
  });
  return { name: 'usr/lib', change: 'one byte inserted into each file', before, after, isImage: false };
}

async function series(name: string, change: string, places: { readonly cache: string; readonly sizes: CorpusSizes }): Promise<Pair> {
  const corpus = allCorpora.find((one) => one.name === name);
  if (corpus === undefined) throw new Error(`Find corpus '${name}': there is none`);
  const [first = '', second = ''] = await prepareCorpus(corpus, places.cache, places.sizes);
  const read = (directory: string): readonly Uint8Array[] => [...filesBelow(directory)].map((path) => readFileSync(path));
  return { name, change, before: read(first), after: read(second), isImage: name === 'images' };
}

/** All pairs; `mebibytes` of each, about. */
export async function pairs(cache: string, mebibytes: number): Promise<readonly Pair[]> {
  const sizes: CorpusSizes = { fileBytes: mebibytes << 20, imageBytes: mebibytes << 20, logBytes: mebibytes << 18, smallFiles: 1 };
  return [
    usrLib(mebibytes << 20),
    await series('logs', 'the next day\'s dump: rows inserted, changed, deleted, appended', { cache, sizes }),
    await series('images', 'files edited inside an ext4 image', { cache, sizes }),
  ];
}
