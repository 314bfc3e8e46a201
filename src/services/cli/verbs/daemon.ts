/** `daemon`: serves repositories to other hosts until it is told to stop. */
import { realpathSync } from 'node:fs';
import { Daemon } from '../../daemon/daemon.ts';
import { returnFreedMemory } from '../../process-memory.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';

/** Options of the verb. */
interface Options extends CommonOptions {
  readonly config: string;
  /** Of the program; not from the command line. */
  readonly version: string;
}

/** Runs the verb: exit code 0 when it was asked to stop and everything is closed. */
export async function run(context: Context, _operands: readonly string[], { config, version }: Options): Promise<Outcome> {
  returnFreedMemory();
  const self = [process.execPath, realpathSync(process.argv[1] ?? '')];
  await new Daemon({ file: config, version, self, signal: context.signal }).run();
  return { exitCode: 0, result: { stopped: true, seconds: context.progress.seconds() } };
}
