/**
 * The WebAssembly kernel against the same algorithm in C, built with `cc -O3` for this run. Both work on the same bytes in this
 * process, in turns, and are compared by CPU time; their cuts must be the same.
 */
import assert from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { CHUNKER_SCRATCH_BYTES, defaultFastCdc, WasmChunker } from '../../src/engine/chunking/index.ts';
import { GEAR_TABLES_BYTES, writeGearTables } from '../../src/engine/chunking/gear.ts';
import { cutMasks } from '../../src/engine/chunking/masks.ts';
import { Arena } from '../../src/engine/workers/arena.ts';
import { programBytes, randomBytesOf } from './inputs.ts';

const LENGTH = 64 << 20;
const SOURCE = fileURLToPath(new URL('../../../bench/micro/fastcdc.c', import.meta.url));

/** Bytes a CPU second, medians over the rounds; `ratio` is the median of the rounds' ratios. */
export interface ComparisonRow {
  readonly data: string;
  readonly wasm: number;
  readonly c: number;
  readonly ratio: number;
  readonly ratioMin: number;
  readonly ratioMax: number;
}

type Cut = (bytes: Uint8Array, out: Uint32Array) => number;

/** Compares on random bytes and program files. @returns undefined when there is no C compiler. */
export function compareWithC(rounds: number): readonly ComparisonRow[] | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'fastcdc-'));
  try {
    const library = join(folder, 'fastcdc.so');
    try {
      execFileSync('cc', ['-O3', '-shared', '-fPIC', '-o', library, SOURCE], { stdio: ['ignore', 'ignore', 'inherit'] });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const inC = cutInC(library);
    return ([['random', randomBytesOf(1, LENGTH)], ['/usr', programBytes(LENGTH)]] as const).map(([name, data]) => compareOn(name, data, inC, rounds));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function cutInC(library: string): Cut {
  const cuts = koffi.load(library).func('uint32_t fastcdc_cuts(const void *parameters, const void *bytes, uint32_t length, _Out_ uint32_t *out, uint32_t outMax)');
  const parameters = new Uint8Array(32 + GEAR_TABLES_BYTES);
  const view = new DataView(parameters.buffer);
  const { minBytes, averageBytes, maxBytes } = defaultFastCdc;
  [minBytes, averageBytes, maxBytes].forEach((size, i) => { view.setUint32(i * 4, size, true); });
  const { maskSmall, maskLarge } = cutMasks(averageBytes);
  view.setBigUint64(16, maskSmall, true);
  view.setBigUint64(24, maskLarge, true);
  writeGearTables(parameters.subarray(32));
  return (bytes, out) => cuts(parameters, bytes, bytes.length, out, out.length) as number;
}

function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const used = process.cpuUsage(before);
  return (used.user + used.system) / 1e6;
}

function median(samples: readonly number[]): number {
  return [...samples].sort((a, b) => a - b)[samples.length >> 1] ?? Number.NaN;
}

function compareOn(name: string, data: Uint8Array, inC: Cut, rounds: number): ComparisonRow {
  const arena = new Arena(data.length + CHUNKER_SCRATCH_BYTES + 4096);
  const chunker = new WasmChunker(defaultFastCdc, arena.memory, arena.reserve(CHUNKER_SCRATCH_BYTES));
  const at = arena.reserve(data.length);
  const bytes = arena.view(at, data.length);
  bytes.set(data);
  const outs = [new Uint32Array(data.length / 2048), new Uint32Array(data.length / 2048)] as const;
  const seconds: { wasm: number; c: number }[] = [];
  for (let round = -2; round < rounds; round += 1) {
    const counts = [0, 0];
    const times = { wasm: 0, c: 0 };
    const turns = [
      () => { times.wasm = cpuSeconds(() => { counts[0] = chunker.cuts(at, data.length, true, outs[0]); }); },
      () => { times.c = cpuSeconds(() => { counts[1] = inC(bytes, outs[1]); }); },
    ];
    for (const turn of round % 2 === 0 ? turns : turns.reverse()) turn();
    assert.deepEqual(outs[0].subarray(0, counts[0]), outs[1].subarray(0, counts[1]), 'both cut alike');
    // The first rounds compile the kernel and touch the memory.
    if (round >= 0) seconds.push(times);
  }
  const ratios = seconds.map(({ wasm, c }) => c / wasm);
  return {
    data: name, wasm: data.length / median(seconds.map((one) => one.wasm)), c: data.length / median(seconds.map((one) => one.c)),
    ratio: median(ratios), ratioMin: Math.min(...ratios), ratioMax: Math.max(...ratios),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.table(compareWithC(15) ?? ['skipped: no C compiler']);
