/** Repositories behind a daemon as verbs open them: where pages of directories are kept, and that a host that can keep none does without. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { WireServer, createSiteKey, nodeWorld, readServerCredentials, type Repository } from '../engine/index.ts';
import { backupPaths } from './backup.ts';
import { openDaemonRepository } from './daemon-place.ts';
import { createRepository } from './repositories.ts';

const DOMAIN = 'default';
let work = '';
let repository: Repository;
let server: WireServer;
let listener: net.Server;
let place = '';

before(async () => {
  work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-daemon-place-')));
  fs.mkdirSync(path.join(work, 'source'));
  for (let i = 0; i < 2_000; i += 1) fs.writeFileSync(path.join(work, 'source', `file-${i}`), `${i}\n`);
  createSiteKey(path.join(work, 'site.key'), nodeWorld('.'));
  repository = await createRepository(path.join(work, 'repository'));
  const credentials = readServerCredentials({ siteKeys: new Map([[DOMAIN, path.join(work, 'site.key')]]) });
  server = new WireServer({ world: nodeWorld('.'), domains: new Map([[DOMAIN, repository]]), onEvent: () => undefined, credentials });
  listener = net.createServer({ noDelay: true }, (socket) => { void server.accept(socket); }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  place = `holdfast://127.0.0.1:${(listener.address() as net.AddressInfo).port}/${DOMAIN}`;
});
after(async () => {
  listener.close();
  await server.drain(1_000);
  await repository.close();
  fs.rmSync(work, { recursive: true, force: true });
});

async function backup(cacheDirectory: string): Promise<{ readonly received: number; readonly files: number; readonly notes: string; readonly directory: string | undefined }> {
  const notes: string[] = [];
  const onNote = (text: string): void => { notes.push(text); };
  const store = await openDaemonRepository(place, { wireKey: path.join(work, 'site.key'), cacheDirectory, onNote });
  try {
    const { directory } = store;
    const { files } = await backupPaths(store, [path.join(work, 'source')], { onNote, ...(directory === undefined ? {} : { repositoryDirectory: directory }) });
    return { received: store.wireBytes.received, files, notes: notes.join('\n'), directory };
  } finally {
    await store.close();
  }
}

test('pages are kept for this user alone, left out of backups, and not fetched again', async () => {
  const cache = path.join(work, 'source', 'cache');
  const first = await backup(cache);
  assert.equal(first.directory, path.join(cache, 'daemons'));
  assert.equal(fs.statSync(first.directory).mode & 0o777, 0o700);
  assert.equal(first.files, 2_000);
  assert.match(first.notes, /leaving out/);
  const second = await backup(cache);
  assert.equal(second.files, 2_000);
  const other = await backup(path.join(work, 'source', 'cache', 'other'));
  assert.ok(second.received * 4 < other.received, `${second.received} bytes with pages, ${other.received} without`);
});

test('where no directory can be made, the backup goes on without', async () => {
  for (const cache of ['/proc/self/status/x', '/proc/x']) {
    const { directory, files, notes } = await backup(cache);
    assert.equal(directory, undefined);
    assert.ok(files >= 2_000);
    assert.ok(notes.includes(`pages of directories are not kept on this host: Make cache directory '${cache}/daemons'`), notes);
  }
});

test('what is no file has no pages: neither in a cache nor as one', async () => {
  const cache = path.join(work, 'odd');
  await backup(cache);
  const [pages = ''] = fs.readdirSync(path.join(cache, 'daemons'));
  const directory = path.join(cache, 'daemons', pages);
  for (const name of fs.readdirSync(directory)) {
    fs.rmSync(path.join(directory, name));
    assert.equal(spawnSync('mkfifo', [path.join(directory, name)]).status, 0);
  }
  assert.equal((await backup(cache)).notes, '');
  assert.ok(fs.readdirSync(directory).every((name) => fs.statSync(path.join(directory, name)).isFile()));
  fs.rmSync(directory, { recursive: true });
  assert.equal(spawnSync('mkfifo', [directory]).status, 0);
  assert.match((await backup(cache)).notes, /^pages of directories are not kept on this host from now on: Create directory '.*': EEXIST$/);
});

test('a cache that belongs to another user is not used', { skip: process.geteuid?.() !== 0 && 'only root can give something to another user' }, async () => {
  const [theirs, link, below] = ['theirs', 'link', 'below'].map((name) => path.join(work, name)) as [string, string, string];
  fs.mkdirSync(theirs);
  fs.chownSync(theirs, 12_345, 12_345);
  fs.mkdirSync(path.join(work, 'ours'), { mode: 0o700 });
  fs.symlinkSync('ours', link);
  fs.lchownSync(link, 12_345, 12_345);
  fs.mkdirSync(path.join(below, 'daemons'), { recursive: true });
  fs.chownSync(path.join(below, 'daemons'), 12_345, 12_345);
  for (const cache of [theirs, link, below]) {
    const { directory, files, notes } = await backup(cache);
    assert.equal(directory, undefined);
    assert.ok(files >= 2_000);
    assert.match(notes, /^pages of directories are not kept on this host: Make cache directory '.*': '.*' belongs to another user, with id '12345'; choose another with --cache-dir$/);
  }
  assert.deepEqual([fs.readdirSync(theirs), fs.readdirSync(path.join(work, 'ours')), fs.readdirSync(path.join(below, 'daemons'))], [[], [], []]);
  fs.lchownSync(link, 0, 0);
  assert.equal((await backup(link)).directory, path.join(link, 'daemons'));
});
