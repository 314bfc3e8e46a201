/** A program of its own: grows a random tree in a mounted XFS, and what only XFS has: shared extents and files in many pieces. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { seededBytes, seededRandom } from '../../src/core/testing/random.ts';
import { runTool } from '../images/tools.ts';
import { below } from './random-name.ts';
import { growTree, type TreeProfile } from './random-tree.ts';

/** What to grow. */
export interface GrowRequest {
  readonly directory: string;
  readonly seed: number;
  readonly profile: TreeProfile;
  readonly blockBytes: number;
  readonly reflink: boolean;
  /** Pieces of the file that has the most. */
  readonly extents: number;
  /** Files that are made and removed before: they carry the log around its end. */
  readonly churn: number;
}

/** Every other block is taken out again, so that no two records can become one. */
function growPieces(file: string, blockBytes: number, extents: number): void {
  const content = seededBytes(blockBytes, extents);
  const fd = fs.openSync(file, 'w');
  try {
    for (let i = 0; i < extents; i += 1) fs.writeSync(fd, content, 0, content.length, 2 * i * blockBytes);
  } finally {
    fs.closeSync(fd);
  }
}

function churn(folder: string, count: number): void {
  for (let i = 0; i < count; i += 1) {
    fs.writeFileSync(path.join(folder, `gone ${i}`), '');
    if (i % 500 === 499) {
      const fd = fs.openSync(folder, 'r');
      fs.fsyncSync(fd);
      fs.closeSync(fd);
      for (let j = i - 499; j <= i; j += 1) fs.unlinkSync(path.join(folder, `gone ${j}`));
    }
  }
}

/** Copies that share their blocks, then differ in parts. */
function growShared(folder: string, seed: number): void {
  const random = seededRandom(seed);
  const first = path.join(folder, 'shared-0');
  fs.writeFileSync(first, seededBytes(900_000, seed));
  for (let i = 1; i < 6; i += 1) {
    const copy = path.join(folder, `shared-${i}`);
    runTool(folder, 'cp', ['--reflink=always', first, copy]);
    const fd = fs.openSync(copy, 'r+');
    try {
      for (let j = 0; j < 8; j += 1) fs.writeSync(fd, seededBytes(1 + below(random, 20_000), j), 0, null, below(random, 900_000));
      if (i % 2 === 0) fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  }
  spawnSync('xfs_io', ['-c', `reflink ${first} 65536 131072 65536`, path.join(folder, 'shared-1')]);
}

const request = process.argv[2];
if (process.argv[1] === import.meta.filename && request !== undefined) {
  const { directory, seed, profile, blockBytes, reflink, extents, churn: count } = JSON.parse(request) as GrowRequest;
  const folder = path.join(directory, 'of xfs');
  fs.mkdirSync(folder);
  churn(folder, count);
  if (reflink) growShared(folder, seed);
  growPieces(path.join(folder, 'pieces'), blockBytes, blockBytes > 8192 ? Math.min(extents, 200) : extents);
  growTree(directory, seed, profile);
}
