/**
 * Signatures against the examples that Amazon publishes for S3, and times against the platform's.
 * Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk", its four examples.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { EMPTY_DIGEST, compactTime, encodeQuery, encodeStrictly, signRequest, type UnsignedRequest } from './signature.ts';

const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const time = Date.UTC(2013, 4, 24);

const base: UnsignedRequest = { method: 'GET', host: 'examplebucket.s3.amazonaws.com', path: '/', query: {}, headers: {}, bodyDigest: EMPTY_DIGEST };

const examples: readonly (readonly [string, UnsignedRequest, string])[] = [
  ['GET object with range', { ...base, path: '/test.txt', headers: { range: 'bytes=0-9' } }, 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41'],
  ['PUT object', {
    ...base, method: 'PUT', path: `/${encodeStrictly('test$file.text')}`, headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
    bodyDigest: createHash('sha256').update('Welcome to Amazon S3.').digest('hex'),
  }, '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd'],
  ['GET bucket lifecycle', { ...base, query: { lifecycle: '' } }, 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
  ['list objects', { ...base, query: { prefix: 'J', 'max-keys': '2' } }, '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
];

for (const [name, request, signature] of examples) {
  test(`the published example '${name}'`, () => {
    const headers = signRequest(request, credentials, 'us-east-1', time);
    assert.equal(/Signature=([0-9a-f]{64})$/.exec(headers['authorization'] ?? '')?.[1], signature);
    assert.equal(headers['x-amz-date'], '20130524T000000Z');
  });
}

test('a session token is sent and signed', () => {
  const headers = signRequest(base, { ...credentials, sessionToken: 'token' }, 'us-east-1', time);
  assert.equal(headers['x-amz-security-token'], 'token');
  assert.match(headers['authorization'] ?? '', /SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,/);
});

test('times are the platform\'s', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) }), (when) => {
    assert.equal(compactTime(when), new Date(when).toISOString().replace(/[-:]|\.\d+/g, ''));
  }));
});

test('queries are encoded and in order of their encoded names', () => {
  assert.equal(encodeQuery({ prefix: 'a b/c', 'list-type': '2', 'continuation-token': "x+/='*" }), 'continuation-token=x%2B%2F%3D%27%2A&list-type=2&prefix=a%20b%2Fc');
});
