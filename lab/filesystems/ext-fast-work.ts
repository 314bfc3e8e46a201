/** Random changes with syncs of single files between them: what ext4 puts into fast commits. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { below, pick, randomBytes, randomName, type Random } from './random-name.ts';

const CONTENT_BYTES_MAX = 60_000;
const MEBIBYTE = 1 << 20;

/** Files and folders below a mounted directory, whose names are UTF-8. ext4 writes a whole transaction instead now and then, for a symlink. */
export class FastWork {
  readonly #random: Random;
  readonly #removes: boolean;
  readonly #folders: string[];
  readonly #files: string[] = [];
  #serial = 100_000;

  /** Goes on with the files and folders that are there. With `removes`, some of them go, and numbers of inodes are used again. */
  constructor(directory: string, random: Random, removes: boolean) {
    this.#random = random;
    this.#removes = removes;
    this.#folders = [directory];
    for (const folder of this.#folders) {
      for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
        const list = entry.isDirectory() ? this.#folders : entry.isFile() ? this.#files : undefined;
        if (entry.name !== 'lost+found') list?.push(path.join(folder, entry.name));
      }
    }
  }

  /** `steps` changes; then one file is synced, and with it what changed before. */
  round(steps: number): void {
    for (let i = 0; i < steps; i += 1) this.#step();
    if (below(this.#random, 12) === 0) this.#wholeTransaction();
    this.#sync(this.#files.length === 0 ? this.#create() : pick(this.#random, this.#files));
  }

  /**
   * Folders that go; the kernel (6.18) can't replay it when their inodes' numbers are used again in the same log, so that this is the last change. Then
   * every file is synced: what is in memory is on the disk, too.
   */
  lastRound(): void {
    // What did not change is not synced, and nothing with it.
    const file = this.#create();
    for (const folder of this.#folders.slice(1).toReversed()) {
      if (!this.#removes || below(this.#random, 3) > 0 || fs.readdirSync(folder).length > 0) continue;
      fs.rmdirSync(folder);
      this.#folders.splice(this.#folders.indexOf(folder), 1);
    }
    for (const one of [...this.#files, file]) this.#sync(one);
  }

  #step(): void {
    const existing = this.#files.length > 3 ? pick(this.#random, this.#files) : this.#create();
    const steps: readonly (() => unknown)[] = [
      () => this.#create(), () => this.#create(), () => this.#create(), () => this.#folder(), () => { this.#rename(existing); }, () => { this.#link(existing); }, () => { if (this.#removes) this.#unlink(existing); },
      () => { this.#write(existing); }, () => { this.#write(existing); }, () => { this.#preallocate(existing); }, () => { this.#facts(existing); },
      () => { fs.truncateSync(existing, below(this.#random, fs.statSync(existing).size + 20_000)); },
    ];
    pick(this.#random, steps)();
  }

  #place(): string {
    return path.join(pick(this.#random, this.#folders), randomName(this.#random, 'utf8', 255, this.#serial++).toString());
  }

  #create(): string {
    const file = this.#place();
    fs.writeFileSync(file, randomBytes(this.#random, below(this.#random, 2) * below(this.#random, CONTENT_BYTES_MAX)));
    this.#files.push(file);
    return file;
  }

  #folder(): void {
    const folder = this.#place();
    fs.mkdirSync(folder);
    this.#folders.push(folder);
  }

  /** To another name, or to that of another file, which goes. */
  #rename(file: string): void {
    const other = pick(this.#random, this.#files);
    const to = this.#removes && below(this.#random, 3) === 0 && fs.statSync(other).ino !== fs.statSync(file).ino ? other : this.#place();
    fs.renameSync(file, to);
    this.#files.splice(this.#files.indexOf(file), 1);
    if (!this.#files.includes(to)) this.#files.push(to);
  }

  #link(file: string): void {
    const to = this.#place();
    fs.linkSync(file, to);
    this.#files.push(to);
  }

  #unlink(file: string): void {
    fs.unlinkSync(file);
    this.#files.splice(this.#files.indexOf(file), 1);
  }

  /** Somewhere in the file, at its end, or far behind. */
  #write(file: string): void {
    const { size } = fs.statSync(file);
    const at = pick(this.#random, [below(this.#random, size + 1), size, size, size + below(this.#random, MEBIBYTE), below(this.#random, 64 * MEBIBYTE)]);
    const fd = fs.openSync(file, 'r+');
    try {
      fs.writeSync(fd, randomBytes(this.#random, 1 + below(this.#random, 20_000)), 0, null, at);
    } finally {
      fs.closeSync(fd);
    }
  }

  #preallocate(file: string): void {
    const how = pick(this.#random, [[], ['-n'], ['-p'], ['-z']]);
    const at = below(this.#random, fs.statSync(file).size + 20_000);
    const result = spawnSync('fallocate', [...how, '-o', String(at), '-l', String(1 + below(this.#random, 50_000)), file], { encoding: 'utf8' });
    if (result.status !== 0 && !/not supported/.test(result.stderr)) throw new Error(`fallocate failed: ${result.error?.message ?? result.stderr}`);
  }

  #facts(file: string): void {
    const what = below(this.#random, 3);
    if (what === 0) fs.chmodSync(file, below(this.#random, 0o10000));
    else if (what === 1) fs.chownSync(file, below(this.#random, 2 ** 31), below(this.#random, 2 ** 31));
    else fs.utimesSync(file, below(this.#random, 2 ** 31), below(this.#random, 2 ** 33) + 0.5);
  }

  /** What no fast commit can hold. */
  #wholeTransaction(): void {
    const name = this.#place();
    fs.symlinkSync('target', name);
  }

  #sync(file: string): void {
    const fd = fs.openSync(file, 'r+');
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  }
}
