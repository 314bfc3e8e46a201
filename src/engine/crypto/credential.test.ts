import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { UsageError, utf8 } from '../../core/index.ts';
import { keyCredential, passphraseCredential } from './credential.ts';

describe('credentials', () => {
  it('take a key as 32 bytes, hexadecimal digits or base64 in both alphabets', () => {
    const key = new Uint8Array(randomBytes(32));
    key[0] = 0xff; // so that it can't read as text
    const hex = Buffer.from(key).toString('hex');
    for (const content of [key, utf8(hex), utf8(`${hex.toUpperCase()}\r\n`), utf8(Buffer.from(key).toString('base64')), utf8(`${Buffer.from(key).toString('base64url')}\n`)]) {
      assert.deepEqual(Buffer.from(keyCredential(content, 'the key file').secret), Buffer.from(key));
    }
  });

  it('refuse what is no key, and do not quote it', () => {
    const secret = 'correct horse battery staple 123';
    assert.equal(secret.length, 32);
    for (const content of [utf8(secret), utf8('hunter2'), new Uint8Array(0), new Uint8Array(31).fill(200), new Uint8Array(1 << 20), utf8('z'.repeat(64))]) {
      assert.throws(() => keyCredential(content, 'the key file'), (error) => error instanceof UsageError && error.message.startsWith('Use the key file') && !error.message.includes('horse') && !error.message.includes('hunter2'));
    }
  });

  it('take a passphrase without its line end, composed as NFC, and never empty', () => {
    const secretOf = (text: string): string => Buffer.from(passphraseCredential(utf8(text), 'passphrase').secret).toString();
    assert.equal(secretOf('a b \n'), 'a b ');
    assert.equal(secretOf('a\r\n'), 'a');
    assert.equal(secretOf('a\n\n'), 'a\n');
    assert.equal(secretOf('u\u0308ber'), '\u00fcber');
    assert.deepEqual(Buffer.from(passphraseCredential(Uint8Array.of(0xff, 0x0a), 'passphrase').secret), Buffer.from([0xff]));
    for (const empty of ['', '\n', '\r\n']) assert.throws(() => passphraseCredential(utf8(empty), 'passphrase'), UsageError);
  });
});
