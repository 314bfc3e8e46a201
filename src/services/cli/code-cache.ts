/**
 * The command as one compiled script. V8 can keep what it compiled: a process that gets it back starts sooner. Such a cache
 * belongs to one version of Node and one set of V8 flags; in any other process V8 refuses it and compiles as usual.
 */
import Module from 'node:module';
import * as vm from 'node:vm';

/** Compiles a CommonJS module's text; `file` is its absolute path. `script.cachedDataRejected` tells what became of `cached`. */
export function compileModule(text: string, file: string, cached?: Uint8Array): vm.Script {
  // Node before 20.12 has no such constant; nothing in the bundle needs a dynamic import.
  const { USE_MAIN_CONTEXT_DEFAULT_LOADER: loader } = (vm.constants ?? {}) as Partial<typeof vm.constants>;
  return new vm.Script(Module.wrap(text), {
    filename: file,
    ...(cached === undefined ? {} : { cachedData: cached }),
    ...(loader === undefined ? {} : { importModuleDynamically: loader }),
  });
}
