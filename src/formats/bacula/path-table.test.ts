/** Paths: interning, and names that were made to collide. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { defaultLimits, utf8 } from '../../core/index.ts';
import { PathTable } from './path-table.ts';

test('a path is known under one number, whatever its slashes', () => {
  const table = new PathTable(defaultLimits);
  const path = table.intern(utf8('/a/b'));
  assert.equal(table.intern(utf8('a//b/')), path);
  assert.equal(Buffer.from(table.bytes(path ?? 0)).toString(), 'a/b');
  assert.equal(table.intern(utf8('/a/../b')), undefined);
  assert.equal(table.count, 3);
});

const step = (state: number, byte: number): number => Math.imul(state ^ byte, 0x01000193);

/** Two strings of four bytes that lead FNV-1a from `state` to one and the same state. */
function collision(state: number): { readonly pair: readonly [readonly number[], readonly number[]]; readonly after: number } {
  const known = new Map<number, { readonly bytes: readonly number[]; readonly state: number }>();
  for (let i = 0; ; i += 1) {
    const bytes = [0x40 + (i % 64), 0x40 + ((i >> 6) % 64), 0x40 + ((i >> 12) % 64)];
    const at = bytes.reduce(step, state);
    const other = known.get(at >>> 6);
    // The last byte makes states equal that differ in their low six bits only.
    if (other !== undefined) return { pair: [[...other.bytes, 0x40], [...bytes, 0x40 ^ (at ^ other.state)]], after: step(other.state, 0x40) };
    known.set(at >>> 6, { bytes, state: at });
  }
}

test('names that all collide are found as quickly as others', () => {
  let state = Math.imul(0x811c9dc5 ^ 0x9e3779b1, 0x01000193);
  let names: readonly (readonly number[])[] = [[]];
  for (let i = 0; i < 15; i += 1) {
    const { pair, after } = collision(state);
    names = names.flatMap((name) => pair.map((part) => [...name, ...part]));
    state = after;
  }
  assert.equal(new Set(names.map((name) => name.reduce(step, Math.imul(0x811c9dc5 ^ 0x9e3779b1, 0x01000193)))).size, 1, 'the names collide under the first seed');
  const table = new PathTable(defaultLimits);
  const started = performance.now();
  for (const name of names) table.intern(Uint8Array.from(name));
  for (const [i, name] of names.entries()) assert.equal(table.find(0, Uint8Array.from(name)), i + 1);
  assert.ok(performance.now() - started < 2000, `32,768 colliding names took ${performance.now() - started} ms`);
});
