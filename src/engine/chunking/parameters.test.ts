import assert from 'node:assert';
import { describe, it } from 'node:test';
import { UsageError } from '../../core/index.ts';
import { checkChunkerParameters, defaultFastCdc, type ChunkerParameters } from './parameters.ts';

const KIB = 1024;

function fastCdc(min: number, average: number, max: number): ChunkerParameters {
  return { algorithm: 'fastcdc', minBytes: min, averageBytes: average, maxBytes: max };
}

describe('chunker parameters', () => {
  it('accepts the default and the ends of every range', () => {
    const allowed: ChunkerParameters[] = [
      defaultFastCdc, fastCdc(2 * KIB, 8 * KIB, 32 * KIB), fastCdc(8 * KIB, 64 * KIB, 256 * KIB), fastCdc(3 * KIB, 16 * KIB, 100 * KIB),
      { algorithm: 'fixed', blockBytes: 4 * KIB }, { algorithm: 'fixed', blockBytes: 1024 * KIB },
    ];
    for (const parameters of allowed) checkChunkerParameters(parameters);
  });

  it('refuses what lies outside, is not a power of two or is out of order', () => {
    const refused: ChunkerParameters[] = [
      fastCdc(1 * KIB, 16 * KIB, 64 * KIB), fastCdc(9 * KIB, 16 * KIB, 64 * KIB), fastCdc(4 * KIB, 4 * KIB, 64 * KIB),
      fastCdc(4 * KIB, 12 * KIB, 64 * KIB), fastCdc(4 * KIB, 128 * KIB, 256 * KIB), fastCdc(4 * KIB, 16 * KIB, 16 * KIB),
      fastCdc(4 * KIB, 16 * KIB, 257 * KIB), fastCdc(8 * KIB, 8 * KIB, 64 * KIB), fastCdc(4 * KIB, 64 * KIB, 64 * KIB),
      fastCdc(4097, 16 * KIB, 64 * KIB), fastCdc(Number.NaN, 16 * KIB, 64 * KIB), fastCdc(4 * KIB, 16 * KIB, Infinity),
      { algorithm: 'fixed', blockBytes: 2 * KIB }, { algorithm: 'fixed', blockBytes: 12 * KIB }, { algorithm: 'fixed', blockBytes: 2048 * KIB },
    ];
    for (const parameters of refused) {
      assert.throws(() => { checkChunkerParameters(parameters); }, UsageError, JSON.stringify(parameters));
    }
  });
});
