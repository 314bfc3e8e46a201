import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FormatError, HoldfastError, IntegrityError, NotFoundError, UnsupportedError, utf8 } from '../../core/index.ts';
import { memoryWorld } from '../world/index.ts';
import { Keys } from './keys.ts';
import { isSealedObject, openObject, sealObject, sealedObjectHeader } from './object-seal.ts';

function keysOf(numbers: readonly number[]): Keys {
  return new Keys({
    repository: 'ab'.repeat(32), slot: '0123456789abcdef', root: new Uint8Array(32).fill(1), ring: 1,
    content: { idKey: new Uint8Array(32).fill(2), dataKeys: numbers.map((number) => ({ number, cipher: number % 2 === 1 ? 'aes-256-gcm' : 'chacha20-poly1305', created: 0, key: new Uint8Array(32).fill(100 + number) })) },
  });
}

const world = memoryWorld(5);

describe('sealed object', () => {
  it('comes back as it was under either cipher, also with later keys', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.constantFrom([1], [1, 2]), (content, numbers) => {
      const sealed = sealObject(keysOf(numbers), 'manifests/a', content, world);
      assert(isSealedObject(sealed));
      assert.deepEqual(Buffer.from(openObject(keysOf([...numbers, 3]), 'manifests/a', sealed)), Buffer.from(content));
    }), { numRuns: 100 });
  });

  it('opens under its own name alone', () => {
    const sealed = sealObject(keysOf([1]), 'manifests/a', utf8('one'), world);
    for (const name of ['manifests/b', 'manifests/', 'manifests/ab', '']) assert.throws(() => openObject(keysOf([1]), name, sealed), IntegrityError);
  });

  it('never seals two objects under one key', () => {
    const salts = Array.from({ length: 20 }, () => Buffer.from(sealedObjectHeader.view(sealObject(keysOf([1]), 'a', utf8('x'), world)).salt).toString('hex'));
    assert.equal(new Set(salts).size, 20);
  });

  it('sees any flipped bit, and throws nothing undocumented', () => {
    const sealed = sealObject(keysOf([1]), 'a', utf8('content'), world);
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const flipped = sealed.slice();
      flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ 1 << (bit & 7);
      assert.throws(() => openObject(keysOf([1]), 'a', flipped), (error) => error instanceof FormatError || error instanceof IntegrityError || error instanceof UnsupportedError || error instanceof NotFoundError, `bit ${bit}`);
    }
    for (let length = 0; length < sealed.length; length += 7) assert.throws(() => openObject(keysOf([1]), 'a', sealed.subarray(0, length)), HoldfastError);
  });

  it('names the data key that is missing', () => {
    const sealed = sealObject(keysOf([1, 2]), 'a', utf8('content'), world);
    assert.throws(() => openObject(keysOf([1]), 'a', sealed), (error) => error instanceof NotFoundError && error.message.includes('\'2\''));
  });

  it('hides sizes: contents up to half a KiB look alike', () => {
    const sizes = new Set([0, 1, 100, 508].map((size) => sealObject(keysOf([1]), 'a', new Uint8Array(size), world).length));
    assert.equal(sizes.size, 1);
  });
});
