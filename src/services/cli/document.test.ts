/**
 * `docs/cli.md` against what the verbs print: each field of the JSON of each verb must be named, in backticks, in the section of the verb or in the one that
 * describes what all have; each error code must be in the list of codes. Not run here: `mount` and `serve smb`, which need FUSE and a Samba: the lab tries them.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { guestsDisk } from '../guests/testdata/fixture.ts';
import { commandIn, mainPath, type Command } from '../testing/command.ts';
import { buildProgram } from './program.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const page = fs.readFileSync(path.join(root, 'docs/cli.md'), 'utf8');
const volume = path.join(root, 'src/formats/bacula/testdata/accurate-deleted/volumes/accurate-0002');

/** A verb that is not ready by then never will be. */
const LATE_MS = 60_000;

/** Objects whose names are data or belong to another layer's description: the page names the object, not what is in it. */
const open = new Set(['data', 'leftOut', 'times', 'parameters', 'xattrs', 'before', 'after']);

/** Sections by the verb that their heading begins with, and the one on errors. */
function sections(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const part of page.split(/^(?=#{2,3} )/m)) {
    const verb = /^### `([a-z]+)/.exec(part)?.[1] ?? /^## (Errors)/.exec(part)?.[1];
    if (verb !== undefined) found.set(verb, `${found.get(verb) ?? ''}${part}`);
  }
  return found;
}

const texts = sections();

/** Names in backticks, without what tells of lists and options. */
function namesIn(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/`([A-Za-z0-9]+)(?:\[\])?\??`/g)].map(([, name = '']) => name));
}

function fieldsOf(value: unknown, found: Set<string> = new Set<string>()): Set<string> {
  if (Array.isArray(value)) for (const one of value) fieldsOf(one, found);
  else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      found.add(name);
      if (!open.has(name)) fieldsOf(inner, found);
    }
  }
  return found;
}

/** Fields of a reply that the sections of `verbs` do not name. */
function unnamed(reply: unknown, ...verbs: readonly string[]): readonly string[] {
  const known = namesIn(['Errors', ...verbs].map((verb) => texts.get(verb) ?? '').join('\n'));
  return [...fieldsOf(reply)].filter((name) => !known.has(name));
}

let work = '';
let command: Command;

before(async () => {
  work = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-document-')));
  command = commandIn(work);
  fs.mkdirSync(path.join(work, 'src/below'), { recursive: true });
  fs.writeFileSync(path.join(work, 'src/below/file'), 'text\n');
  fs.symlinkSync('below', path.join(work, 'src/link'));
  fs.writeFileSync(path.join(work, 'disk'), await guestsDisk());
  fs.writeFileSync(path.join(work, 'key'), 'a passphrase');
});
after(() => { fs.rmSync(work, { recursive: true, force: true }); });

const missing: string[] = [];
afterEach(() => { assert.deepEqual(missing.splice(0), [], 'fields that docs/cli.md does not name'); });

function compare(words: readonly string[], reply: unknown, sees: readonly string[] = []): void {
  const names = unnamed(reply, words[0] ?? '', ...sees);
  if (names.length > 0) missing.push(`${words.join(' ')}: ${names.join(', ')}`);
}

/** Runs a verb; `sees` are other sections that describe fields of it. */
function documented(code: number, words: readonly string[], ...sees: readonly string[]): void {
  compare(words, command.json(code, ...words), sees);
}

/** Runs a verb that goes on, until it says that it is ready; SIGTERM ends it. */
async function stopped(words: readonly string[], ready: RegExp): Promise<void> {
  const child = spawn(process.execPath, [mainPath, ...words, '--json'], { cwd: work, stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => { out += data.toString(); });
  const late = setTimeout(() => { child.kill('SIGKILL'); }, LATE_MS);
  await new Promise<void>((resolve) => {
    child.stderr.on('data', (data: Buffer) => {
      err += data.toString();
      if (ready.test(err)) child.kill('SIGTERM');
    });
    child.once('close', () => { resolve(); });
  });
  clearTimeout(late);
  assert.notEqual(out, '', err);
  compare(words, JSON.parse(out));
}

test('every verb has a section', () => {
  for (const name of buildProgram('0').commands.map((one) => one.name())) assert.ok(name === 'help' || texts.has(name), name);
});

test('every error code is listed', () => {
  const source = fs.readFileSync(path.join(root, 'src/core/errors.ts'), 'utf8');
  const codes = [...source.matchAll(/super\('([A-Z_]+)'/g)].map(([, code = '']) => code);
  assert.equal(codes.length, 10);
  const known = [...(texts.get('Errors') ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, code]) => code);
  assert.deepEqual(codes.filter((code) => !known.includes(code)), []);
});

describe('every field of the JSON is named', () => {
  test('of repositories', () => {
    documented(0, ['init', 'repo', '--encrypt', '--key', 'key', '--label', 'one']);
    documented(0, ['key', 'list', 'repo']);
    documented(0, ['key', 'rotate', 'repo', '--key', 'key', '--new-root', '--new-key', 'key']);
    documented(0, ['init', 'plain']);
    documented(3, ['backup', 'src', 'absent', '--repo', 'plain', '--tag', 't', '--exclude', 'nothing']);
    documented(0, ['snapshots', 'plain'], 'backup');
    documented(0, ['check', 'plain', '--rebuild-index']);
    documented(0, ['check', 'plain', '--repair']);
    documented(0, ['clone', 'plain', 'copy']);
    documented(0, ['forget', 'plain', '--keep-last', '1', '--gc'], 'snapshots', 'backup', 'gc');
  });

  test('of files', () => {
    documented(0, ['ls', '-R', 'src', '--digest', 'sha256']);
    documented(0, ['stat', 'src/below/file', '--digest', 'md5'], 'ls');
    documented(0, ['cat', 'src/below/file'], 'ls');
    documented(0, ['cp', 'src/below/file', 'new'], 'ls', 'restore');
    documented(0, ['restore', 'src', 'restored', '--include', 'nothing']);
    documented(0, ['diff', 'src', 'restored'], 'ls');
    documented(0, ['check', `${volume}::job=3`]);
  });

  test('of volumes and disks', () => {
    documented(0, ['info', volume]);
    documented(0, ['info', 'plain::latest'], 'snapshots', 'backup');
    documented(0, ['info', 'disk::p1::/etc'], 'disks');
    documented(0, ['check', volume, '--read-data']);
    documented(3, ['check', 'disk']);
    documented(0, ['disks', '.'], 'ls');
    documented(0, ['convert', 'raw:disk', '--to', 'qcow2', 'disk.qcow2']);
    documented(0, ['info', 'disk.qcow2'], 'disks');
  });

  test('of what goes on until it is stopped', async () => {
    await stopped(['serve', 'nfs', 'src', '--listen', '127.0.0.1:0'], /is served at/);
    documented(0, ['enroll', 'web1', '--hosts', 'hosts', '--out', 'web1.key']);
    documented(0, ['enroll', '--site-key', 'site.key']);
    documented(0, ['enroll', '--revoke', 'web1', '--hosts', 'hosts']);
    fs.writeFileSync(path.join(work, 'daemon.yaml'), 'listen:\n  wire: 127.0.0.1:0\n  http: 127.0.0.1:0\ndomains:\n  default:\n    repository: plain\n    siteKey: site.key\n', { mode: 0o600 });
    await stopped(['daemon', '--config', 'daemon.yaml'], /daemon serves/);
  });
});
