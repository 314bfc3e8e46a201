/** Keys for encrypted layers, from files (`--key`) or from a command's output (`--key-cmd`). */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { NotFoundError, ToolError } from '../../core/index.ts';

/** A key is some hundred bytes; anything much longer is the wrong file. */
const keyBytesMax = 1 << 20;

/**
 * Reads key files whole, in order.
 * @throws {NotFoundError} when one can't be read.
 */
export function readKeys(files: readonly string[]): readonly Uint8Array[] {
  return files.map((file) => {
    try {
      return new Uint8Array(readFileSync(file));
    } catch (error) {
      throw new NotFoundError(`Read key '${file}': ${(error as NodeJS.ErrnoException).code ?? 'failed'}`, { path: file }, error);
    }
  });
}

/**
 * Runs a command through the shell; its whole output is one key.
 * @throws {ToolError} when the command fails or prints nothing.
 */
export function keyFromCommand(command: string): Uint8Array {
  let output: Buffer;
  try {
    output = execFileSync('/bin/sh', ['-c', command], { stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: keyBytesMax });
  } catch (error) {
    throw new ToolError(`Run key command '${command}': ${(error as Error).message.split('\n')[0] ?? ''}`, { command }, error);
  }
  if (output.length === 0) throw new ToolError(`Run key command '${command}': it printed no key`, { command });
  return new Uint8Array(output);
}
