/**
 * The main job once through, as the README's first command: store, store again, restore, compare every digest.
 * `node dist/src/services/demo.js [VOLUME|DIRECTORY …]`; without arguments the Bacula volume that the sources carry.
 */
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { IntegrityError, utf8 } from '../core/index.ts';
import type { SnapshotStore } from '../engine/index.ts';
import { fileSource } from '../fs-adapters/posix/index.ts';
import { backupPaths, type BackupReport } from './backup.ts';
import { endProcess } from './cli/end-process.ts';
import { formatBytes } from './cli/progress.ts';
import { errorMessage } from './entry-error.ts';
import { openLocation } from './locations/index.ts';
import { createRepository } from './repositories.ts';
import { restoreTree } from './restore.ts';
import { digestOf } from './trees/content.ts';
import { pathKey, walk } from './trees/walk.ts';

const testdata = fileURLToPath(new URL('../../../src/formats/bacula/testdata/', import.meta.url));
/** A Full, an Incremental and a Differential backup with recorded deletions, written by Bacula 9.6.7. */
const fixture = {
  location: `${path.join(testdata, 'accurate-deleted/volumes/accurate-0002')}::jobs=3+4+5`,
  manifest: path.join(testdata, 'accurate-deleted/manifest-acc.jsonl'),
};

/** MD5 of each file by the key of its path. */
type Digests = ReadonlyMap<string, string>;

/** What the manifest of the fixture says, made from the original files before Bacula saw them. */
function manifestDigests(file: string): Digests {
  const digests = new Map<string, string>();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '') continue;
    const entry = JSON.parse(line) as { readonly path: string; readonly path_b64?: string; readonly type: string; readonly md5?: string };
    const where = entry.path_b64 === undefined ? utf8(entry.path) : new Uint8Array(Buffer.from(entry.path_b64, 'base64'));
    if (entry.type === 'file' && entry.md5 !== undefined) digests.set(pathKey(where), entry.md5);
  }
  return digests;
}

/** What reading the source directly gives. */
async function sourceDigests(text: string): Promise<Digests> {
  const digests = new Map<string, string>();
  const location = await openLocation(text, {}, 'inside-root');
  try {
    const view = await location.node();
    await walk(view, {
      page: async (entries) => {
        for (const { id, path: where, stat } of entries) {
          if (stat.type !== 'file') continue;
          const source = await view.tree.open(id);
          digests.set(pathKey(where), await digestOf(source, 'md5'));
          await source.close();
        }
      },
      failed: (where, error) => { throw new IntegrityError(`Read '${text}': '${pathKey(where)}': ${errorMessage(error)}`); },
    });
  } finally {
    await location.close();
  }
  return digests;
}

/** An ordinary user may have restored files that even their owner can't read; modes were restored, content is to be compared. */
function makeReadable(directory: Buffer): void {
  chmodSync(directory, 0o700);
  for (const entry of readdirSync(directory, { withFileTypes: true, encoding: 'buffer' })) {
    const file = Buffer.concat([directory, Buffer.from('/'), entry.name]);
    if (entry.isDirectory()) makeReadable(file);
    else if (entry.isFile()) chmodSync(file, 0o600);
  }
}

/** Digests of a restored directory of the host, whose paths then begin at the restore's target. */
async function compareRestored(target: string, expected: Digests): Promise<number> {
  const left = new Map(expected);
  if (process.geteuid?.() !== 0) makeReadable(Buffer.from(target));
  const location = await openLocation(target);
  try {
    const view = { ...(await location.node()), path: new Uint8Array() };
    await walk(view, {
      page: async (entries) => {
        for (const { path: where, stat } of entries) {
          if (stat.type !== 'file') continue;
          const source = await fileSource(Buffer.concat([Buffer.from(target), where]));
          const found = await digestOf(source, 'md5');
          await source.close();
          const key = pathKey(where);
          if (left.get(key) !== found) throw new IntegrityError(`Compare '${key}': restored md5 '${found}', expected '${left.get(key) ?? 'no such file'}'`);
          left.delete(key);
        }
      },
      failed: (where, error) => { throw new IntegrityError(`Read '${pathKey(where)}' again: ${errorMessage(error)}`); },
    });
  } finally {
    await location.close();
  }
  const [missing] = left.keys();
  if (missing !== undefined) throw new IntegrityError(`Compare '${missing}': it was not restored (${left.size} files are missing)`);
  return expected.size;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function timed<T>(work: Promise<T>): Promise<{ readonly value: T; readonly seconds: number }> {
  const started = performance.now();
  const value = await work;
  return { value, seconds: (performance.now() - started) / 1_000 };
}

/** Bytes of a source as it lies on this host: of the volumes, or of the files. */
function inputBytes(text: string, report: BackupReport): number {
  const [root = '', step] = text.split('::');
  const stat = statSync(root, { throwIfNoEntry: false });
  if (stat?.isFile() === true) return stat.size;
  if (step === undefined || stat?.isDirectory() !== true) return report.bytesIn;
  return readdirSync(root).reduce((sum, name) => sum + statSync(path.join(root, name)).size, 0);
}

async function storeOnce(repository: SnapshotStore, text: string): Promise<BackupReport> {
  const report = await backupPaths(repository, [text], { parent: 'none' });
  // What this host cannot read of attributes is no reason to stop; content that is missing is.
  const [error] = report.errors.filter((one) => one.code !== 'unsupported');
  if (error !== undefined) throw new IntegrityError(`Store '${text}': ${error.path}: ${error.message} (${report.errors.length} in all)`);
  return report;
}

/** Stores, stores again, restores and compares one source. @throws {IntegrityError} at the first difference. */
async function demonstrate(repository: SnapshotStore, work: string, text: string, expected: () => Promise<Digests>): Promise<void> {
  print(`\n${text}`);
  const first = await timed(storeOnce(repository, text));
  print(`  first time   ${first.value.files} files, ${first.value.chunksNew} of ${first.value.chunks} chunks new, ${first.seconds.toFixed(2)} s`);
  for (const error of first.value.errors) print(`  note         ${error.path}: ${error.message}`);
  const second = await timed(storeOnce(repository, text));
  print(`  second time  ${second.value.chunksNew} of ${second.value.chunks} chunks new, ${second.seconds.toFixed(2)} s`);
  if (second.value.chunksNew > 0) throw new IntegrityError(`Store '${text}' again: '${second.value.chunksNew}' chunks were new, expected '0'`);
  const target = mkdtempSync(path.join(work, 'restored-'));
  const digests = await expected();
  const tree = await repository.openSnapshot(second.value.snapshot);
  const restored = await timed(restoreTree({ tree, id: tree.rootId, path: new Uint8Array() }, target, { verify: false }));
  await tree.close();
  // Sockets, devices or owners may be refused to an ordinary user; content may not.
  for (const error of restored.value.errors) print(`  note         ${error.path}: ${error.message}`);
  const compared = await timed(compareRestored(target, digests));
  print(`  restored     ${restored.value.files} files, ${formatBytes(restored.value.bytes)}, ${restored.seconds.toFixed(2)} s`);
  print(`  compared     ${compared.value} md5 digests, all equal, ${compared.seconds.toFixed(2)} s`);
  const { bytesStored } = await repository.statistics();
  print(`  sizes        ${inputBytes(text, first.value)} bytes of input · store grew by ${first.value.bytesStored} and ${second.value.bytesStored} bytes · ${bytesStored} bytes in total`);
}

/** The locations behind an argument: each job of a volume, or the directory. */
async function expand(argument: string): Promise<readonly string[]> {
  const location = await openLocation(argument, {}, 'inside-root');
  try {
    const { place } = location;
    return place.kind === 'volumes' && !argument.includes('::') ? place.volumes.jobs.map((job) => `${argument}::${job.step}`) : [argument];
  } finally {
    await location.close();
  }
}

async function run(argument: readonly string[]): Promise<void> {
  const work = mkdtempSync(path.join(os.tmpdir(), 'holdfast-demo-'));
  try {
    const repository = await createRepository(path.join(work, 'repository'));
    try {
      if (argument.length === 0) await demonstrate(repository, work, fixture.location, () => Promise.resolve(manifestDigests(fixture.manifest)));
      for (const one of argument) for (const text of await expand(one)) await demonstrate(repository, work, text, () => sourceDigests(text));
    } finally {
      await repository.close();
    }
    print('\nEverything came back as it was.');
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`demo: ${errorMessage(error)}\n`);
  process.exitCode = 1;
}
await endProcess();
