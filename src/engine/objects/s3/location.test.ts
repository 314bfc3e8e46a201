/** Locations: what the environment says, what options say, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../../core/index.ts';
import { isObjectName, s3Location } from './location.ts';
import { parseTime } from './listing.ts';

const keys = { AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'S' };

test('Amazon by default, with the bucket in the host\'s name unless it has dots', () => {
  const location = s3Location('s3://bucket/a/b/', { ...keys, AWS_REGION: 'eu-central-1', AWS_SESSION_TOKEN: 'T' });
  assert.deepEqual(location, {
    endpoint: 'https://s3.eu-central-1.amazonaws.com', region: 'eu-central-1', bucket: 'bucket', prefix: 'a/b', pathStyle: false,
    credentials: { accessKeyId: 'A', secretAccessKey: 'S', sessionToken: 'T' },
  });
  assert.equal(s3Location('s3://my.bucket', keys).pathStyle, true);
  assert.equal(s3Location('s3://bucket', keys).region, 'us-east-1');
});

test('an endpoint of one\'s own; the specific variable and options come first', () => {
  const environment = { ...keys, AWS_ENDPOINT_URL: 'http://a:1', AWS_ENDPOINT_URL_S3: 'http://b:2', AWS_DEFAULT_REGION: 'here' };
  const location = s3Location('s3://bucket', environment);
  assert.deepEqual([location.endpoint, location.region, location.pathStyle, location.prefix], ['http://b:2', 'here', true, '']);
  const chosen = s3Location('s3://bucket', environment, { endpoint: 'https://c', region: 'there', pathStyle: false });
  assert.deepEqual([chosen.endpoint, chosen.region, chosen.pathStyle], ['https://c', 'there', false]);
});

test('what is no location is refused', () => {
  for (const url of ['s3:bucket', 's3://', 's3:///a', 's3://b', 's3://bucket/a//b', 's3://bucket/../a', 's3://bucket/a b', 's3://bu cket', 'http://bucket']) {
    assert.throws(() => s3Location(url, keys), UsageError, url);
  }
  for (const endpoint of ['host', 'ftp://host', 'http://user:secret@host', 'http://host/?a=b']) assert.throws(() => s3Location('s3://bucket', keys, { endpoint }), UsageError, endpoint);
  assert.throws(() => s3Location('s3://bucket', keys, { region: 'a/b' }), UsageError);
  assert.throws(() => s3Location('s3://bucket', {}), (error) => error instanceof UsageError && error.message.includes('AWS_ACCESS_KEY_ID'));
});

test('names of objects', () => {
  for (const name of ['config', 'containers/ab/0.hfc', 'a/.b', '...']) assert.ok(isObjectName(name), name);
  for (const name of ['', '/', 'a/', '/a', 'a//b', '.', 'a/..', 'a/./b', 'ä', 'a b', 'a\n', `${'a'.repeat(901)}`]) assert.ok(!isObjectName(name), name);
});

test('times of listings', () => {
  for (const text of ['2009-10-12T17:50:30.000Z', '2024-02-29T23:59:59.999Z', '1970-01-01T00:00:00.001Z', '2026-11-21T01:33:51Z']) assert.equal(parseTime(text), Date.parse(text), text);
  assert.equal(parseTime('2009-10-12T17:50:30.123456789Z'), Date.parse('2009-10-12T17:50:30.123Z'));
  for (const text of ['', 'today', '2009-10-12', '2009-10-12T17:50:30', '2009-10-12T17:50:30+01:00']) assert.ok(Number.isNaN(parseTime(text)), text);
});
