/** Threads get no arguments where one of the program's keeps them from starting, else those that Node gives them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threadArguments } from './thread-arguments.ts';

test('only a program that was given as text with its kind keeps its arguments to itself', () => {
  for (const given of [['--input-type=module', '-e', 'x'], ['--expose-gc', '--input-type', 'module', '-e', 'x']]) assert.deepEqual(threadArguments(given), { execArgv: [] });
  for (const given of [[], ['-e', 'x'], ['--import=x', '--max-old-space-size=100'], ['--input-types']]) assert.deepEqual(threadArguments(given), {});
});
