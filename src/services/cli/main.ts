#!/usr/bin/env node
/** The `holdfast` command. The version is answered before anything else is loaded. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';

/** The version in package.json, beside `dist/` both in a checkout and in an installed package. */
function version(): string {
  const text = readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

if (process.argv[2] === '--version' || process.argv[2] === '-V') process.stdout.write(`${version()}\n`);
else {
  // V8 trades memory for fewer collections; our promise is 200 MB for any size of input. Measured on 50,000 files: 40 MB less for 5 % more CPU.
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=50');
  const { runProgram } = await import('./program.ts');
  const { endProcess } = await import('./end-process.ts');
  await runProgram(process.argv, version());
  await endProcess();
}
