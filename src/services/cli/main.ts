#!/usr/bin/env node
/** The `holdfast` command as compiled, without a bundle (see `launcher.ts`). The version is answered before anything else is loaded. */
import { readFileSync } from 'node:fs';

/** The version in package.json, beside `dist/` both in a checkout and in an installed package. */
function version(): string {
  const text = readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

if (process.argv[2] === '--version' || process.argv[2] === '-V') process.stdout.write(`${version()}\n`);
else {
  const { keepProcessSmall } = await import('../process-memory.ts');
  keepProcessSmall();
  const { runCommand } = await import('./command.ts');
  await runCommand(process.argv, version());
}
