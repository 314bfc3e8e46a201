import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, describe, it } from 'node:test';
import { BusyError, FormatError, NotFoundError, UsageError } from '../../../core/index.ts';
import { nodeWorld } from '../../world/index.ts';
import {
  channelFault, createServerIdentity, createSiteKey, EnrolledHosts, readClientCredentials, readServerCredentials, readServerIdentity, readSiteKey, type Enrollment,
} from './index.ts';
import { connected, connectPair } from './testing/ends.ts';

const world = nodeWorld('.');
const root = mkdtempSync(path.join(tmpdir(), 'holdfast-keys-'));
after(() => { rmSync(root, { recursive: true }); });
const at = (...names: readonly string[]): string => path.join(root, ...names);

describe('key files', () => {
  it('are written once, readable by their owner only, and nothing is left beside them', () => {
    createSiteKey(at('site'), world);
    assert.equal(statSync(at('site')).mode & 0o7777, 0o600);
    const text = readFileSync(at('site'), 'utf8');
    assert.match(text, /^holdfast-site-key-1 [A-Za-z0-9+/]{43}=\n$/);
    assert.equal(Buffer.from(readSiteKey(at('site'))).toString('base64'), text.trim().split(' ')[1]);
    assert.throws(() => { createSiteKey(at('site'), world); }, BusyError);
    assert.equal(readFileSync(at('site'), 'utf8'), text);
    const publicKey = createServerIdentity(at('server'), world);
    assert.deepEqual(readServerIdentity(at('server')).publicKey, publicKey);
    assert.deepEqual(readdirSync(root).sort(), ['server', 'site']);
  });

  it('are refused when others may read or write them, or they are no files', () => {
    createSiteKey(at('open'), world);
    for (const mode of [0o640, 0o604, 0o660, 0o610, 0o602]) {
      chmodSync(at('open'), mode);
      assert.throws(() => readSiteKey(at('open')), (error: Error) => error instanceof UsageError && error.message.includes(`'0${mode.toString(8)}'`));
    }
    for (const mode of [0o600, 0o400]) {
      chmodSync(at('open'), mode);
      assert.equal(readSiteKey(at('open')).length, 32);
    }
    assert.throws(() => readSiteKey(root), UsageError);
    assert.throws(() => readSiteKey(at('absent')), NotFoundError);
  });

  it('that are damaged or others are refused without saying what they hold', () => {
    const secret = Buffer.alloc(32, 0x77).toString('base64');
    const cases = ['', 'x', 'holdfast-site-key-1', `holdfast-site-key-1 ${secret.slice(1)}`, `holdfast-site-key-1 ${secret} ${secret}`, `holdfast-site-key-2 ${secret}`,
      `holdfast-host-identity-1 private ${secret} psk ${secret} server`, `holdfast-host-identity-1 private ${secret} psk ${secret} psk ${secret}`, '\0'.repeat(4096)];
    for (const text of cases) {
      writeFileSync(at('damaged'), text, { mode: 0o600 });
      assert.throws(() => readClientCredentials(at('damaged')), (error: Error) => error instanceof FormatError && !error.message.includes(secret.slice(1, 12)), text);
      assert.throws(() => readServerIdentity(at('damaged')), FormatError);
    }
    writeFileSync(at('damaged'), 'x'.repeat(4097));
    assert.throws(() => readSiteKey(at('damaged')), UsageError);
  });
});

describe('enrolled hosts', () => {
  const files = { siteKeys: new Map([['main', at('site')]]), identity: at('server'), hosts: at('hosts') };
  const enrollment = (name: string): Enrollment => ({ name, domain: 'main', serverKey: readServerIdentity(files.identity).publicKey, identityFile: at(`${name}.identity`) });
  const hosts = new EnrolledHosts(files.hosts);

  it('connect with their file until they are revoked, which a running server sees', async () => {
    const server = readServerCredentials(files);
    const site = await connected({ client: readClientCredentials(at('site')), server });
    site[0].destroy();
    // Names that are words of the files too.
    for (const name of ['web-1', 'domain', 'psk']) {
      const { publicKey } = hosts.enroll(enrollment(name), world);
      const [near, far] = await connected({ client: readClientCredentials(at(`${name}.identity`)), server });
      assert.deepEqual(far.peer, { kind: 'host', domain: 'main', name, publicKey });
      near.destroy();
    }
    assert.ok(readdirSync(files.hosts).every((name) => /^[0-9a-f]{64}\.host$/.test(name) && (statSync(path.join(files.hosts, name)).mode & 0o777) === 0o600));
    hosts.revoke('web-1');
    const [client, refused] = await Promise.allSettled(connectPair({ client: readClientCredentials(at('web-1.identity')), server }));
    assert.equal(channelFault(client.status === 'rejected' && client.reason), 'refused');
    assert.match(String(refused.status === 'rejected' && refused.reason), /is enrolled, or it was revoked/);
    assert.deepEqual(hosts.list().map(({ name, revoked }) => [name, revoked]), [['domain', false], ['psk', false], ['web-1', true]]);
  });

  it('have names of their own; a revoked one may come back with other keys', () => {
    assert.throws(() => { hosts.revoke('web-1'); }, NotFoundError);
    assert.throws(() => hosts.enroll({ ...enrollment('psk'), identityFile: at('again') }, world), BusyError);
    assert.throws(() => hosts.enroll(enrollment('web-1'), world), BusyError);
    hosts.enroll({ ...enrollment('web-1'), identityFile: at('again') }, world);
    assert.deepEqual(hosts.list().filter(({ name }) => name === 'web-1').map(({ revoked }) => revoked).sort(), [false, true]);
    for (const name of ['', '.', 'a b', '../a', 'a\nb', 'x'.repeat(64), '-a']) assert.throws(() => hosts.enroll(enrollment(name), world), UsageError, name);
  });

  it('do not get in by a record that is damaged, open to others, or of another key', async () => {
    const { publicKey } = hosts.enroll(enrollment('odd'), world);
    const record = path.join(files.hosts, `${Buffer.from(publicKey).toString('hex')}.host`);
    const text = readFileSync(record, 'utf8');
    assert.ok(hosts.find(publicKey) !== undefined);
    chmodSync(record, 0o644);
    assert.throws(() => hosts.find(publicKey), UsageError);
    chmodSync(record, 0o600);
    for (const damaged of [text.slice(0, 40), text.replace('revoked no', 'revoked'), text.replace('revoked no', 'revoked perhaps'), '']) {
      writeFileSync(record, damaged);
      assert.throws(() => hosts.find(publicKey), FormatError);
    }
    writeFileSync(record, text.replace(Buffer.from(publicKey).toString('base64'), Buffer.alloc(32, 1).toString('base64')));
    assert.equal(hosts.find(publicKey), undefined);
    assert.equal(hosts.find(new Uint8Array(32)), undefined);
    assert.equal(new EnrolledHosts(at('no-such-directory')).find(publicKey), undefined);
    assert.deepEqual(new EnrolledHosts(at('no-such-directory')).list(), []);
  });
});
