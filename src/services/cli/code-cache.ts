/**
 * The command as one compiled script. V8 can keep what it compiled: a process that gets it back starts sooner. Such a cache
 * belongs to one version of Node and one set of V8 flags; in any other process V8 refuses it and compiles as usual.
 */
import Module from 'node:module';
import * as vm from 'node:vm';

/** Compiles a CommonJS module's text; `file` is its absolute path. `script.cachedDataRejected` tells what became of `cached`. */
export function compileModule(text: string, file: string, cached?: Uint8Array): vm.Script {
  return new vm.Script(Module.wrap(text), {
    filename: file,
    ...(cached === undefined ? {} : { cachedData: cached }),
  });
}
