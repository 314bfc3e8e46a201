/** The writer: reads the receipt that Bacula kept, and restores what it names. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type FileTree, IntegrityError, LimitError, NotFoundError, ToolError, UsageError, utf8 } from '../../src/core/index.ts';
import { restoreTree, type Overwrite } from '../../src/services/index.ts';
import { readContent } from '../../src/services/trees/content.ts';
import type { Voices } from './backup.ts';
import { decodeReceipt, receiptBytesMax, type Receipt } from './receipt.ts';
import type { Settings } from './settings.ts';
import { openReceipt, withStore } from './store.ts';

/** Where to restore to. */
export interface Target {
  /** Directory; '' or '/' are the original places of files. A stream becomes a file in it. */
  readonly where: string;
  readonly overwrite: Overwrite;
  /** A stream goes to the stdin of this command instead. */
  readonly command?: string;
}

/** Bacula's letters for "replace". Source: Bacula main manual, chapter on the bpipe plugin, `%r`, and the Job directive Replace. */
export function overwriteOf(letter: string): Overwrite {
  if (letter === 'a' || letter === 'always') return 'always';
  if (letter === 'n' || letter === 'never') return 'never';
  throw new UsageError(`Restore with --replace '${letter}': expected 'a' (always) or 'n' (never): holdfast does not decide by a file's age`);
}

/** All of stdin. @throws {LimitError} it is longer than any receipt. */
async function readReceipt(): Promise<Receipt> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > receiptBytesMax) throw new LimitError('receiptBytesMax', length, receiptBytesMax, 'receipt on stdin');
    pieces.push(piece);
  }
  return decodeReceipt(new Uint8Array(Buffer.concat(pieces)));
}

const PIECE_BYTES = 1 << 20;

/** Feeds a command that only ends well when all of the stream was read and right: else it is killed before it sees an end. */
async function feed(tree: FileTree, receipt: Receipt, command: string, signal: AbortSignal): Promise<void> {
  const id = await tree.lookup(tree.rootId, utf8(receipt.sources[0] ?? ''));
  if (id === undefined) throw new NotFoundError(`Restore stream '${receipt.sources[0]}': the snapshot has no such file`);
  const child = spawn('/bin/bash', ['-o', 'pipefail', '-c', command], { stdio: ['pipe', 'inherit', 'inherit'], signal, killSignal: 'SIGKILL', detached: true });
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => { resolve(error.message); });
    child.on('close', (status, killed) => { resolve(killed ?? String(status)); });
  });
  child.stdin.on('error', () => undefined); // a command that stopped reading tells by its end
  try {
    const source = await tree.open(id);
    try {
      const write = async (bytes: Uint8Array): Promise<void> => {
        if (child.stdin.destroyed) throw new ToolError(`Run '${command}': it ended with '${await ended}' before it had read everything`, { command });
        if (!child.stdin.write(Buffer.from(bytes))) await Promise.race([once(child.stdin, 'drain').catch(() => undefined), ended]);
      };
      const zeroes = new Uint8Array(PIECE_BYTES);
      await readContent(source, {
        data: (_, bytes) => write(bytes),
        empty: async (_, length) => { for (let left = length; left > 0; left -= PIECE_BYTES) await write(zeroes.subarray(0, Math.min(left, PIECE_BYTES))); },
      }, new Uint8Array(PIECE_BYTES), { signal });
    } finally {
      await source.close();
    }
    child.stdin.end();
  } catch (error) {
    // The whole group, so that no program of the command takes a cut stream for a whole one.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    throw error;
  }
  const status = await ended;
  if (status !== '0') throw new ToolError(`Run '${command}': ended with '${status}', expected '0'`, { command });
}

/** @throws {IntegrityError} something is missing, changed or could not be made. */
async function restoreFiles(tree: FileTree, receipt: Receipt, { where, overwrite }: Target, { signal, warn }: Voices): Promise<string> {
  if (receipt.kind === 'stream' && (where === '' || where === '/')) throw new UsageError(`Restore stream '${receipt.sources[0]}': it has no original place: restore to a directory, or give the plugin line's restore a --command`);
  const result = await restoreTree({ tree, id: tree.rootId, path: new Uint8Array() }, where === '' ? '/' : where, { overwrite, durable: true, verify: true, signal });
  for (const error of result.errors) warn(`'${error.path}': ${error.message}`);
  if (result.errors.length > 0) throw new IntegrityError(`Restore snapshot '${receipt.snapshot}': '${result.errors.length}' entries failed`);
  if (result.files + result.skipped < receipt.files) throw new IntegrityError(`Restore snapshot '${receipt.snapshot}': restored '${result.files}' files, the receipt says '${receipt.files}'`);
  return `restored snapshot ${receipt.snapshot}: ${result.files} files, ${result.bytes} bytes, ${result.skipped} left alone`;
}

/** Restores what the receipt on stdin names; every byte was verified when it resolves. @throws anything that is wrong, before or after files were written. */
export async function restore(target: Target, settings: Settings, voices: Voices): Promise<void> {
  const receipt = await readReceipt();
  await withStore(settings, 'read', async (store) => {
    const tree = await openReceipt(store, receipt);
    if (target.command === undefined) voices.warn(await restoreFiles(tree, receipt, target, voices));
    else if (receipt.kind === 'stream') await feed(tree, receipt, target.command, voices.signal);
    else throw new UsageError(`Restore snapshot '${receipt.snapshot}' into '${target.command}': it holds files, not a stream`);
  });
}
