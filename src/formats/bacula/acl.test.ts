import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { defaultLimits, FormatError, LimitError, utf8 } from '../../core/index.ts';
import { encodeAcl } from './acl.ts';
import { parseXattrs } from './xattr.ts';

test('an ACL with names becomes what the kernel stores', () => {
  const text = 'user::rw-\nuser:cloudsdk:rwx\t#effective:r--\nuser:nobody:---\ngroup::r--\ngroup:users:r--\nmask::rwx\nother::r--\n\0';
  const ids: Readonly<Record<string, number>> = { cloudsdk: 1000, nobody: 65534, users: 100 };
  const acl = encodeAcl(utf8(text), (_kind, name) => ids[name]);
  assert.ok(acl instanceof Uint8Array);
  // As getxattr gave it on the machine of the backup.
  assert.equal(Buffer.from(acl).toString('base64'), 'AgAAAAEABgD/////AgAHAOgDAAACAAAA/v8AAAQABAD/////CAAEAGQAAAAQAAcA/////yAABAD/////');
});

test('an unknown name is named, a number needs no resolver, nothing is no ACL', () => {
  assert.deepEqual(encodeAcl(utf8('user::rw-\nuser:ann:r--\n'), undefined), { unknownKind: 'user', unknownName: 'ann' });
  assert.ok(encodeAcl(utf8('user::rw-\nuser:1234:r--\n'), undefined) instanceof Uint8Array);
  assert.equal(encodeAcl(utf8('\0'), undefined), undefined);
  assert.throws(() => encodeAcl(utf8('user:rw-'), undefined), FormatError);
});

test('random bytes in ACL and attribute records give documented errors only', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    for (const parse of [() => encodeAcl(bytes, undefined), () => { parseXattrs(bytes, defaultLimits, new Map()); }]) {
      try {
        parse();
      } catch (error) {
        assert.ok(error instanceof FormatError || error instanceof LimitError, String(error));
      }
    }
  }), { numRuns: 1000 });
});
