/**
 * Stored samples, opened by this build and, beside it, by nothing but `docs/formats/keys.md` and the @noble libraries: a change of the format, or of the
 * page, cannot go unnoticed.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gcm } from '@noble/ciphers/aes.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { scrypt } from '@noble/hashes/scrypt.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { defaultLimits, utf8 } from '../../core/index.ts';
import { DiskObjects } from '../objects/index.ts';
import { memoryWorld } from '../world/index.ts';
import { keyCredential, openKeys, openObject, passphraseCredential, sealObject, type KeyPlace, type Keys } from './index.ts';
import { encodeSlot, sealSlot } from './slot.ts';

const slotText = `holdfast keyslot 1
{"id":"8eb625d3c0595535","repository":"abababababababababababababababababababababababababababababababab","root":"5099be619b55c7a288943b54c47a5418","kind":"key","label":"office","created":1700000000001,"salt":"d108ac7694c474f4792f5d88327812969f73c9ef3ee593cf01577b78dff726cd","commitment":"06c21f938e2a7e14ba1dffb077d5b177ea7d7e8c8c9f7441bfe19c6eba6440f7","sealed":"d8f6bbe641ce65b1a04c5dfab8bbd1ab7ed0cf10be64bdc0fde11b185675ac2ca55e5a211814d616eae4c328e136491e"}
4b1cd8136f2d4a89172156f365000b3ca1996becdc744c1c2067816cbafc16d6
`;
const ringText = `holdfast keyring 1
{"number":1,"repository":"abababababababababababababababababababababababababababababababab","root":"5099be619b55c7a288943b54c47a5418","created":1700000000003,"salt":"7ed0a593a2d98187aa7e7b7609761d7871699cb9273e858026213f6efe920714","sealed":"d09b2196a62d3dfa48d8ac138686c9126ae0a91560eb989966bc8c7cc1e5e9b525a011aad740c27fba940a05f62007947caf6cc27802121b88d54112aceb05d475367e8f0b2ca23d102854b4b3eb5218d5d430df6541bfb1bcbe97191976a222"}
2ce07da5baac57c0a153b0618ca552fe106929dd02b2e26bcdc1a29781df4d32
`;
const secret = new Uint8Array(32).fill(129);
const idKeyHex = '7af8536c5a4c2206aea984bc1eff8081ee843156d0f70e25818fda435efbc5c2';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const derive = (key: Uint8Array, salt: Uint8Array, purpose: string, { context = '', length = 32 } = {}): Uint8Array => hkdf(sha256, key, salt, utf8(`holdfast/1 ${purpose}\0${context}`), length);

function openByPage(text: string, lastClear: string, key: Uint8Array): Uint8Array {
  const [, json = ''] = text.split('\n');
  const body = JSON.parse(json) as Record<string, string>;
  const aad = `${json.slice(0, json.indexOf(`"${lastClear}"`) - 1)}}`;
  return gcm(key, new Uint8Array(12), utf8(aad)).decrypt(bytes(body['sealed'] ?? ''));
}

const fieldOf = (text: string, field: string): string => (JSON.parse(text.split('\n')[1] ?? '') as Record<string, string>)[field] ?? '';

async function goldenKeys(): Promise<{ readonly place: KeyPlace; readonly keys: Keys }> {
  const world = memoryWorld(3);
  const place: KeyPlace = { objects: new DiskObjects(world, 'test'), world, repository: 'ab'.repeat(32), limits: defaultLimits };
  await place.objects.put('keys/slot-8eb625d3c0595535', utf8(slotText));
  await place.objects.put('keys/ring-00000001', utf8(ringText));
  return { place, keys: await openKeys(place, [keyCredential(secret, 'key file')]) };
}

describe('stored keys', () => {
  it('open with this build, and by the page alone', async () => {
    const { keys } = await goldenKeys();
    const derived = derive(secret, bytes(fieldOf(slotText, 'salt')), 'slot key', { length: 64 });
    assert.equal(Buffer.from(derived.subarray(32)).toString('hex'), fieldOf(slotText, 'commitment'));
    const root = openByPage(slotText, 'commitment', derived.subarray(0, 32));
    assert.equal(Buffer.from(derive(root, new Uint8Array(0), 'root id', { length: 16 })).toString('hex'), fieldOf(ringText, 'root'));
    const ring = openByPage(ringText, 'sealed', derive(root, bytes(fieldOf(ringText, 'salt')), 'ring'));
    assert.equal(Buffer.from(ring.subarray(0, 32)).toString('hex'), idKeyHex);
    assert.equal(Buffer.from(keys.idKey).toString('hex'), idKeyHex);
    assert.deepEqual([ring.length, ...ring.subarray(32, 40)], [80, 0, 0, 0, 1, 1, 0, 0, 0]);
    const containerSalt = new Uint8Array(32).fill(6);
    assert.deepEqual(keys.containerKey(1, containerSalt, utf8('head')).key, derive(ring.subarray(48), containerSalt, 'container', { context: 'head' }));
  });

  it('seal objects as the page says', async () => {
    const { place, keys } = await goldenKeys();
    const sealed = sealObject(keys, 'manifests/a', utf8('content'), place.world);
    assert.equal(Buffer.from(sealed.subarray(0, 12)).toString('hex'), '4846534f0001000000000001');
    const dataKey = keys.content.dataKeys[0]?.key ?? new Uint8Array(0);
    const aad = new Uint8Array([...sealed.subarray(0, 44), ...utf8('manifests/a')]);
    const text = gcm(derive(dataKey, sealed.subarray(12, 44), 'object'), new Uint8Array(12), aad).decrypt(sealed.subarray(44));
    assert.deepEqual([text.length, ...text.subarray(0, 11)], [512, 0, 0, 0, 7, ...utf8('content')]);
    assert(text.subarray(11).every((byte) => byte === 0));
    assert.deepEqual(openObject(keys, 'manifests/a', sealed), utf8('content'));
  });

  it('seal slots for passphrases as the page says', async () => {
    const { place, keys } = await goldenKeys();
    const slot = await sealSlot(keys.root, { credential: passphraseCredential(utf8('correct horse\n'), 'passphrase'), cost: { logN: 14, r: 8, p: 1 } }, place);
    const text = Buffer.from(encodeSlot(slot)).toString();
    assert(text.includes('"label":"","created":') && text.includes('"cost":{"logN":14,"r":8,"p":1},"salt":'));
    const salt = bytes(slot.salt);
    const derived = derive(scrypt(utf8('correct horse'), salt, { N: 16_384, r: 8, p: 1, dkLen: 32 }), salt, 'slot passphrase', { length: 64 });
    assert.deepEqual(Buffer.from(openByPage(text, 'commitment', derived.subarray(0, 32))), Buffer.from(keys.root));
  });
});
