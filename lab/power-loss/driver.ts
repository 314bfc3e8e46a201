/**
 * Runs in the guest: rounds of backup, forget and gc on a disk whose writes are logged. What was acknowledged is noted on the same disk, durably, before the next
 * step; what is about to be forgotten, before it is. `node driver.js REPOSITORY NOTES ROUNDS`
 */
import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { filesOf } from './content.ts';

const [repository = '', notes = '', rounds = '0'] = process.argv.slice(2);
const data = '/tmp/data';

function note(name: string, text: string): void {
  const file = openSync(path.join(notes, name), 'w');
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
  const directory = openSync(notes, 'r');
  fsyncSync(directory);
  closeSync(directory);
}

function holdfast(...parameters: string[]): Record<string, unknown> {
  const { status, stdout, stderr } = spawnSync('node', ['/opt/holdfast/dist/cli/holdfast.cjs', ...parameters, '--json'], { encoding: 'utf8', maxBuffer: 64 << 20 });
  console.log(`${parameters[0]} ended with ${status} ${status === 0 ? '' : stderr.slice(0, 500)}`);
  if (status !== 0) process.exit(1);
  return JSON.parse(stdout) as Record<string, unknown>;
}

mkdirSync(notes, { recursive: true });
holdfast('init', repository);
note('initialised', '');
const kept: string[] = [];
for (let round = 0; round < Number(rounds); round += 1) {
  rmSync(data, { recursive: true, force: true });
  for (const [name, bytes] of filesOf(round)) {
    mkdirSync(path.join(data, path.dirname(name)), { recursive: true });
    writeFileSync(path.join(data, name), bytes);
  }
  const snapshot = String(holdfast('backup', data, '--repo', repository)['snapshot']);
  note(`acked-${snapshot}`, String(round));
  kept.push(snapshot);
  if (round % 3 !== 2) continue;
  const [gone = ''] = kept.splice(0, 1);
  note(`forgetting-${gone}`, '');
  holdfast('forget', repository, gone);
  holdfast('gc', repository);
}
console.log('DRIVER-DONE');
