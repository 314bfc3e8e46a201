import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ToolError } from '../../src/core/index.ts';
import { measure } from './measure.ts';

const node = (script: string, alsoDone: readonly number[] = []) => ({ argv: [process.execPath, '-e', script], env: {}, alsoDone });

test('costs add up over commands, the peak does not', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'measure-'));
  const wait = node('Buffer.alloc(100e6, 1); setTimeout(() => console.log("done"), 200)');
  const usage = await measure([wait, wait], scratch);
  rmSync(scratch, { recursive: true });
  assert.ok(usage.wallS >= 0.4, `wall ${usage.wallS}`);
  assert.ok(usage.cpuS > 0, `cpu ${usage.cpuS}`);
  assert.ok(usage.peakRssBytes > 100e6 && usage.peakRssBytes < 400e6, `peak ${usage.peakRssBytes}`);
  assert.equal(usage.stdout, 'done\n');
});

test('a failing command is an error with its last words, unless its code counts as done', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'measure-'));
  const script = 'console.error("no such thing"); process.exitCode = 3';
  await assert.rejects(measure([node(script)], scratch), (error) => error instanceof ToolError && /exit 3: no such thing/.test(error.message));
  assert.ok((await measure([node(script, [3])], scratch)).wallS > 0);
  await assert.rejects(measure([{ argv: [join(scratch, 'absent')], env: {} }], scratch), ToolError);
  rmSync(scratch, { recursive: true });
});
