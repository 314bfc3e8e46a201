/**
 * A Bacula volume of one job of very many small files, as the real daemons would lay it out: content before the digest, files
 * before their directory, names in no order. Written with the tests' writer, which the readers' fixtures prove true.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { createXXHash3 } from 'hash-wasm';
import { encodeAttributes, encodeLstat, SessionWriter, VolumeWriter } from '../src/formats/bacula/testing/volume-writer.ts';

const FILES_PER_DIRECTORY = 1000;
/** A prime that no directory's size divides: going around in its steps visits all names, in no order. */
const SHUFFLE = 617;
const TIME = 1_790_000_000;
const TYPE = { file: 3, directory: 5 } as const;
const STREAM = { attributes: 1, data: 2, md5: 3, gzip: 4 } as const;

/** Times over the four years before, in no order: the worst that an index can meet. */
function timeOf(entry: number, kind: number): number {
  return TIME - (Math.imul(entry * 3 + kind, 0x9e3779b1) >>> 5);
}

/** Number of the job in the volume. */
export const volumeJob = 7;

function content(file: number): Buffer {
  return Buffer.from(`small file ${file} ${file * 7919}\n`);
}

/** Writes a volume of `count` files, a thousand in each directory, every other one compressed. Blocks have Bacula's default size. */
export async function writeVolume(file: string, count: number): Promise<void> {
  const fd = openSync(file, 'wx');
  try {
    const volume = new VolumeWriter({ version: 'BB03', blockBytes: 64_512, hasher: await createXXHash3(), emit: (block) => { writeSync(fd, block); } });
    const names = { id: 1, time: TIME, jobId: volumeJob };
    volume.label('million', names, 0, TIME * 1e6);
    const session = new SessionWriter(volume, names);
    session.start();
    let index = 0;
    const entry = (type: number, path: string, size: number): void => {
      index += 1;
      const lstat = encodeLstat({ mode: type === TYPE.file ? 0o100644 : 0o040755, size, uid: 1000, gid: 1000, mtime: timeOf(index, 0), atime: timeOf(index, 1), ctime: timeOf(index, 2) });
      session.record(index, STREAM.attributes, encodeAttributes({ fileIndex: index, type, name: Buffer.from(path) }, lstat));
    };
    for (let first = 0; first < count; first += FILES_PER_DIRECTORY) {
      const directory = `/srv/data/d${first / FILES_PER_DIRECTORY}/`;
      for (let i = 0; i < FILES_PER_DIRECTORY; i += 1) {
        const number = first + (i * SHUFFLE) % FILES_PER_DIRECTORY;
        if (number >= count) continue;
        const bytes = content(number);
        entry(TYPE.file, `${directory}file-${number}`, bytes.length);
        if (number % 2 === 0) session.record(index, STREAM.data, bytes);
        else session.record(index, STREAM.gzip, deflateSync(bytes, { level: 1 }));
        session.record(index, STREAM.md5, createHash('md5').update(bytes).digest());
      }
      entry(TYPE.directory, directory, 4096);
    }
    session.end();
  } finally {
    closeSync(fd);
  }
}
