/** Runs qemu-img and qemu-io. */
import { spawnSync } from 'node:child_process';

/** Runs a program in `cwd`; its standard output. @throws {Error} with what it said when it fails. */
export function runTool(cwd: string, program: string, parameters: readonly string[]): string {
  const result = spawnSync(program, parameters, { cwd, encoding: 'utf8', maxBuffer: 64 << 20 });
  if (result.status === 0) return result.stdout;
  throw new Error(`${program} ${parameters.join(' ')} failed: ${result.error?.message ?? `${result.stdout} ${result.stderr}`.trim().slice(0, 400)}`);
}

/** Applies commands of qemu-io to an image, in order. */
export function qemuIo(cwd: string, file: string, format: string, commands: readonly string[]): void {
  runTool(cwd, 'qemu-io', ['-f', format, ...commands.flatMap((command) => ['-c', command]), file]);
}

/** What is in an image, as qemu-img sees it, in the file `raw`. */
export function toRaw(cwd: string, file: string, format: string, raw: string): void {
  runTool(cwd, 'qemu-img', ['convert', '-f', format, '-O', 'raw', file, raw]);
}
