/** `enroll`, and `daemon` as far as it goes without a client: as separate processes. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { commandIn, type Command } from '../testing/command.ts';

let work = '';
let run: Command['run'];
let json: Command['json'];

function modeOf(name: string): number {
  return fs.statSync(path.join(work, name)).mode & 0o777;
}

before(() => {
  work = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-enroll-'));
  ({ run, json } = commandIn(work));
});
after(() => { fs.rmSync(work, { recursive: true }); });

describe('enroll', () => {
  test('a site key is for its owner alone, and is never overwritten', () => {
    json(0, 'enroll', '--site-key', 'site.key');
    const key = fs.readFileSync(path.join(work, 'site.key'), 'utf8');
    assert.match(key, /^holdfast-site-key-1 [A-Za-z0-9+/]{43}=\n$/);
    assert.equal(modeOf('site.key'), 0o600);
    assert.equal(json(1, 'enroll', '--site-key', 'site.key').error.code, 'BUSY');
    assert.equal(fs.readFileSync(path.join(work, 'site.key'), 'utf8'), key);
  });

  test('a host gets a key of its own, once', () => {
    const made = json(0, 'enroll', 'web1', '--hosts', 'hosts', '--out', 'web1.key', '--domain', 'd') as unknown as Readonly<Record<string, unknown>>;
    assert.deepEqual([made['host'], made['domain'], made['madeIdentity']], ['web1', 'd', true]);
    assert.deepEqual([modeOf('web1.key'), modeOf('hosts'), modeOf('hosts/server.identity')], [0o600, 0o700, 0o600]);
    assert.equal(json(2, 'enroll', 'web2', '--hosts', 'hosts', '--out', 'web1.key').error.code, 'USAGE');
    assert.equal(json(1, 'enroll', 'web1', '--hosts', 'hosts', '--out', 'again.key').error.code, 'BUSY');
    assert.equal(fs.existsSync(path.join(work, 'again.key')), false, 'no key without a record');
    assert.match(run('enroll', '--list', '--hosts', 'hosts').out, /^web1 {2}domain d\n$/);
  });

  test('a directory of hosts that cannot be made is an error, and no wait', () => {
    const { code, err } = run('enroll', 'web1', '--hosts', '/proc/x/y', '--out', 'never.key');
    assert.equal(code, 1);
    assert.match(err, /mkdir '\/proc\/x/);
    assert.equal(fs.existsSync(path.join(work, 'never.key')), false);
  });

  test('a revoked host can be enrolled again, with another key', () => {
    json(0, 'enroll', '--revoke', 'web1', '--hosts', 'hosts');
    assert.equal(json(1, 'enroll', '--revoke', 'web1', '--hosts', 'hosts').error.code, 'NOT_FOUND');
    json(0, 'enroll', 'web1', '--hosts', 'hosts', '--out', 'again.key');
    assert.notEqual(fs.readFileSync(path.join(work, 'again.key'), 'utf8'), fs.readFileSync(path.join(work, 'web1.key'), 'utf8'));
    assert.equal(run('enroll', '--list', '--hosts', 'hosts').out.trim().split('\n').length, 2);
  });

  test('wrong use', () => {
    for (const words of [[], ['a', '--list'], ['a'], ['a', '--hosts', 'h'], ['--revoke', 'a'], ['--list'], ['../x', '--hosts', 'hosts', '--out', 'x.key']]) {
      assert.equal(json(2, 'enroll', ...words).error.code, 'USAGE', words.join(' '));
    }
    assert.equal(fs.existsSync(path.join(work, 'x.key')), false);
  });
});

describe('daemon', () => {
  function configuration(text: string): string {
    fs.writeFileSync(path.join(work, 'd.yaml'), text, { mode: 0o600 });
    return 'd.yaml';
  }

  test('a wrong configuration is exit code 2, and names line and key', () => {
    const { code, err } = run('daemon', '--config', configuration('domains:\n  default: { repository: r, siteKey: site.key }\nlissten: {}\n'));
    assert.equal(code, 2);
    assert.match(err, /'d\.yaml': line 3: key 'lissten' is not known/);
    assert.equal(run('daemon', '--config', 'none.yaml').code, 2);
    assert.equal(run('daemon').code, 2);
  });

  test('an absent repository, and a file that is no key, are failures', () => {
    const address = 'listen: { wire: 127.0.0.1:0, http: 127.0.0.1:0 }\n';
    const absent = run('daemon', '--config', configuration(`${address}domains: { default: { repository: absent, siteKey: site.key } }\n`));
    assert.deepEqual([absent.code, /Open repository '.*absent'/.test(absent.err)], [1, true], absent.err);
    fs.writeFileSync(path.join(work, 'no.key'), 'nothing\n', { mode: 0o600 });
    const wrong = run('daemon', '--config', configuration(`${address}domains: { default: { repository: absent, siteKey: no.key } }\n`));
    assert.deepEqual([wrong.code, /no\.key/.test(wrong.err)], [1, true], wrong.err);
  });
});
