/** The whole command: what both entry points run once their set-up is done. */
import { endProcess } from './end-process.ts';
import { runProgram } from './program.ts';

export { runProgram };

/** Runs the command line and ends the process with its exit code. */
export async function runCommand(argv: readonly string[], version: string): Promise<never> {
  await runProgram(argv, version);
  return endProcess();
}
