/** Runs one program to its end. */
import { spawn } from 'node:child_process';
import { ToolError } from '../../src/core/index.ts';

/** What a program left behind; output as bytes, because names in it may be any bytes. */
export interface ToolResult {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** A program and its arguments. */
export type Command = readonly [program: string, ...parameters: string[]];

/** Choices of {@link runTool}. */
export interface ToolOptions {
  /** Fed to stdin, which is closed afterwards; nothing by default. */
  readonly input?: string;
  /** Resolve whatever the exit code is; without it a code other than 0 throws. */
  readonly anyStatus?: boolean;
  readonly timeoutMs?: number;
}

/**
 * Resolves when the program has ended and its output is complete.
 * @throws {ToolError} when it cannot be started, is ended by a signal or the timeout, or (unless `anyStatus`) fails.
 */
export function runTool(command: Command, options: ToolOptions = {}): Promise<ToolResult> {
  const [program, ...parameters] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'pipe'], timeout: options.timeoutMs ?? 300_000 });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
    child.stdin.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') reject(error);
    });
    child.on('error', (error) => reject(new ToolError(`Run '${program}': it could not be started`, {}, error)));
    child.on('close', (status, signal) => {
      const result = { status: status ?? -1, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
      if (signal === null && (status === 0 || options.anyStatus === true)) resolve(result);
      else reject(new ToolError(`Run '${command.join(' ')}': ended with '${signal ?? status}': ${tail(result)}`, { status, signal }));
    });
    child.stdin.end(options.input ?? '');
  });
}

function tail(result: ToolResult): string {
  return `${result.stdout.toString().slice(-500)}${result.stderr.toString().slice(-1500)}`.trim();
}
