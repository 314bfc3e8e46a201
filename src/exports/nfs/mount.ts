/** The MOUNT protocol, version 3: how a client gets the handle of the root. Source: RFC 1813, appendix I. */
import { NotFoundError, utf8 } from '../../core/index.ts';
import type { Program } from './rpc.ts';
import type { ServedTree } from './served-tree.ts';

const MOUNT = 100_005;
const PATH_BYTES_MAX = 1_024;
const status = { ok: 0, noEntry: 2, inputOutput: 5, notDirectory: 20 } as const;
const AUTH_NONE = 0;
const AUTH_SYS = 1;

/** Gives the root, or a directory below it, to whoever asks. Nothing is remembered: a read-only server has nothing to tell clients that left. */
export function mountProgram(served: ServedTree): Program {
  return {
    program: MOUNT,
    version: 3,
    procedures: {
      0: () => undefined,
      1: async (args, results) => {
        const path = args.opaque(PATH_BYTES_MAX);
        try {
          const id = await served.resolve(path);
          if ((await served.tree.stat(id)).type !== 'directory') {
            results.u32(status.notDirectory);
            return;
          }
          results.u32(status.ok).opaque(served.handleOf(id)).u32(2).u32(AUTH_SYS).u32(AUTH_NONE);
        } catch (error) {
          results.u32(error instanceof NotFoundError ? status.noEntry : status.inputOutput);
        }
      },
      2: (_, results) => { results.u32(0); },
      3: (args) => { args.opaque(PATH_BYTES_MAX); },
      4: () => undefined,
      5: (_, results) => { results.u32(1).opaque(utf8('/')).u32(0).u32(0); },
    },
  };
}
