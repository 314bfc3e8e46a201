/**
 * Entry of `npm run bench:wire [-- SOURCE [ROUNDS] | --quick]`: a backup over loopback against the same into a local repository, in turns, and the bytes
 * on the socket of first and unchanged second backups. Writes `bench/results/wire.md` and `.json`; `--quick` writes nothing.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { renderWire, type WireReport, type WireRound } from './report.ts';
import type { BackupFigures, DaemonFigures } from './role.ts';

const ROLE = fileURLToPath(new URL('./role.js', import.meta.url));
const RESULTS = new URL('../../../bench/results/', import.meta.url);
const SOURCE = '/usr/share';
const ROUNDS = 5;

async function lastLine(child: ChildProcess): Promise<string> {
  let last = '';
  child.stdout?.on('data', (piece: Buffer) => { last += piece.toString(); });
  const [code] = await once(child, 'close') as [number | null];
  if (code !== 0) throw new Error(`A process of the benchmark ended with '${String(code)}'`);
  return last.trim().split('\n').at(-1) ?? '';
}

async function backup(...words: readonly string[]): Promise<BackupFigures> {
  return JSON.parse(await lastLine(spawn(process.execPath, [ROLE, ...words], { stdio: ['ignore', 'pipe', 'inherit'] }))) as BackupFigures;
}

/** Runs `use` with a daemon over a new repository. */
async function withDaemon<T>(directory: string, use: (port: string) => Promise<T>): Promise<{ readonly result: T; readonly daemon: DaemonFigures }> {
  const child = spawn(process.execPath, [ROLE, 'daemon', directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = lastLine(child);
  try {
    const [port] = await once(createInterface({ input: child.stdout }), 'line') as [string];
    const result = await use(port);
    child.stdin.end();
    return { result, daemon: JSON.parse(await ended) as DaemonFigures };
  } catch (error) {
    child.kill();
    throw error;
  }
}

async function round(work: string, source: string): Promise<WireRound> {
  const directories = [path.join(work, 'local'), path.join(work, 'remote')] as const;
  try {
    mkdirSync(directories[0]);
    const local = await backup('local', directories[0], source, 'none');
    mkdirSync(directories[1]);
    const { result, daemon } = await withDaemon(directories[1], async (port) => ({
      first: await backup('remote', port, source, 'none'),
      again: await backup('remote', port, source, 'auto'),
      exchanged: await backup('remote', port, source, 'none'),
    }));
    return { local, ...result, daemon };
  } finally {
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  }
}

const words = process.argv.slice(2).filter((word) => word !== '--quick');
const isQuick = process.argv.includes('--quick');
const source = words[0] ?? (isQuick ? path.dirname(ROLE) : SOURCE);
const rounds: WireRound[] = [];
const work = mkdtempSync(path.join(process.env['TMPDIR'] ?? tmpdir(), 'holdfast-bench-wire-'));
try {
  for (let i = 0; i < (isQuick ? 1 : Number(words[1] ?? ROUNDS)); i += 1) {
    const found = await round(work, source);
    rounds.push(found);
    const { local, first, again, exchanged, daemon } = found;
    console.log(`local ${local.seconds.toFixed(2)} s, wire ${first.seconds.toFixed(2)} s (${(local.seconds / first.seconds).toFixed(2)}), sent ${(first.sent / first.bytes * 100).toFixed(2)} %; `
      + `again ${((again.sent + again.received) / again.bytes * 100).toFixed(3)} % in ${again.seconds.toFixed(2)} s; all ids ${((exchanged.sent + exchanged.received) / exchanged.bytes * 100).toFixed(3)} % in ${exchanged.seconds.toFixed(2)} s; `
      + `daemon ${(daemon.residentBytesMax / 1e6).toFixed(0)} MB, cpu ${daemon.cpuSeconds.toFixed(1)} s, clients ${local.cpuSeconds.toFixed(1)} and ${first.cpuSeconds.toFixed(1)} s`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: cpus().length, node: process.version, loadAverage: loadavg() };
const report: WireReport = { machine, source, rounds };
console.log(`\n${renderWire(report)}`);
if (!isQuick) {
  writeFileSync(new URL('wire.json', RESULTS), `${JSON.stringify(report, undefined, 1)}\n`);
  writeFileSync(new URL('wire.md', RESULTS), renderWire(report));
}
