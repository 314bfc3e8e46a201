import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { formatPathText } from '../locations/path-text.ts';
import { childPath } from '../trees/walk.ts';
import { NameWriter } from './name-writer.ts';

async function written(whole: boolean, lists: readonly (readonly [Uint8Array, readonly Uint8Array[]])[]): Promise<string> {
  const stream = new PassThrough();
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(Buffer.from(part)));
  const writer = new NameWriter(stream, whole);
  for (const [directory, names] of lists) await writer.write(directory, names.map((name) => ({ name })));
  await writer.flush();
  return Buffer.concat(parts).toString();
}

const names = ['plain.txt', 'a space', 'back\\slash', 'new\nline', 'grün', '\u0085', 'x'.repeat(255)].map((text) => new Uint8Array(Buffer.from(text)));
const foreign = Uint8Array.of(0x61, 0xff, 0x62);

for (const whole of [true, false]) {
  test(`lines are those of formatPathText, for ${whole ? 'paths' : 'names'}`, async () => {
    const directories = [new Uint8Array(0), ...['/d', '/grün', '/a\\b'].map((text) => new Uint8Array(Buffer.from(text))), Uint8Array.of(0x2f, 0xfe)];
    const lists = directories.map((directory) => [directory, [...names, foreign, ...names]] as const);
    const expected = lists.flatMap(([directory, all]) => all.map((name) => `${formatPathText(whole ? childPath(directory, name) : name)}\n`)).join('');
    assert.equal(await written(whole, lists), expected);
  });
}

test('lines that are many, or longer than the buffer, come whole and in order', async () => {
  const deep = new Uint8Array(Buffer.from(`/${'d/'.repeat(40_000)}e`));
  const many = Array.from({ length: 5_000 }, (_, i) => new Uint8Array(Buffer.from(`a name that is neither short nor long, number ${i}`)));
  const found = await written(true, [[new Uint8Array(0), many], [deep, [foreign, ...names]], [new Uint8Array(0), many]]);
  const short = many.map((name) => `/${Buffer.from(name).toString()}\n`).join('');
  assert.equal(found, `${short}${[foreign, ...names].map((name) => `${formatPathText(childPath(deep, name))}\n`).join('')}${short}`);
});
