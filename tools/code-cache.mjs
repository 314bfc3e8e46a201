/**
 * Makes V8's code cache of a bundled command: `node tools/code-cache.mjs DIRECTORY`. Runs the usual verbs once, so that the functions
 * they call are in it, not only the outermost code. A process of its own, because V8's flags are part of the cache.
 */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

const [, , directory] = process.argv;
const { compileModule } = await import('../dist/src/services/cli/code-cache.js');
const { keepProcessSmall } = await import('../dist/src/services/process-memory.js');
keepProcessSmall();
const file = path.resolve(directory, 'command.cjs');
const script = compileModule(fs.readFileSync(file, 'latin1'), file);
const loaded = { exports: {} };
script.runInThisContext()(loaded.exports, createRequire(file), loaded, file, path.dirname(file));

const place = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-cache-'));
try {
  const [source, repository, target] = ['source', 'repository', 'target'].map((name) => path.join(place, name));
  fs.cpSync(path.join(import.meta.dirname ?? path.dirname(process.argv[1]), '..', 'tools'), source, { recursive: true });
  const backup = ['backup', source, '--repo', repository];
  for (const line of [['init', repository], backup, backup, ['snapshots', repository], ['restore', `${repository}::latest`, target]]) {
    await loaded.exports.runProgram([process.execPath, 'holdfast', ...line, '--json'], '');
    if ((process.exitCode ?? 0) !== 0) throw new Error(`'${line.join(' ')}' ended with ${process.exitCode}`);
  }
} finally {
  fs.rmSync(place, { recursive: true, force: true });
}
fs.writeFileSync(path.join(path.dirname(file), `command-${process.version}-${process.arch}.cache`), script.createCachedData());
process.exit();
