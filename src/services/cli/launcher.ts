#!/usr/bin/env node
/**
 * Entry point of the installed command: `tools/bundle.mjs` makes it `dist/cli/holdfast.cjs`, with the whole program (`command.ts`)
 * beside it in `command.cjs`. One CommonJS file starts in half the time of two hundred ES modules, and V8's code cache (see `code-cache.ts`) saves
 * compiling it again. A checkout can run `main.ts` instead, without any bundle.
 */
import { existsSync, readFileSync } from 'node:fs';
import * as module from 'node:module';
import * as path from 'node:path';
import { keepProcessSmall } from '../process-memory.ts';
import { compileModule } from './code-cache.ts';

/** What the bundle of `command.ts` exports. */
interface Command {
  runCommand(argv: readonly string[], version: string): Promise<never>;
}

function loadCommand(): Command {
  const file = path.join(__dirname, 'command.cjs');
  const cacheFile = path.join(__dirname, `command-${process.version}-${process.arch}.cache`);
  const load = module.createRequire(file);
  if (!existsSync(cacheFile)) {
    // Node's own cache, from 22.1 on, where nobody made ours for this version of Node.
    (module as { enableCompileCache?(): unknown }).enableCompileCache?.();
    return load(file) as Command;
  }
  const script = compileModule(readFileSync(file, 'latin1'), file, readFileSync(cacheFile));
  const loaded = { exports: {} };
  (script.runInThisContext() as (...given: readonly unknown[]) => void)(loaded.exports, load, loaded, file, __dirname);
  return loaded.exports as Command;
}

const { version } = JSON.parse(readFileSync(path.join(__dirname, '../../package.json'), 'utf8')) as { readonly version: string };
if (process.argv[2] === '--version' || process.argv[2] === '-V') process.stdout.write(`${version}\n`);
else {
  keepProcessSmall();
  void loadCommand().runCommand(process.argv, version);
}
