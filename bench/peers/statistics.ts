/** Medians over rounds. */
import type { Content, Operation, Session } from './session.ts';
import { OPERATIONS } from './session.ts';
import type { CompressionClass, Tool } from './tools/tool.ts';

/** Median with its extremes, in the unit of the samples. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Figures of one operation over all rounds. */
export interface OperationSummary {
  readonly wallS: Summary;
  readonly cpuS: Summary;
  readonly peakRssBytes: Summary;
}

/** One row of a table. */
export interface ToolRow {
  readonly name: string;
  readonly family: string;
  readonly class: CompressionClass;
  readonly codec: string;
  readonly operations: Partial<Record<Operation, OperationSummary>>;
  readonly storedBytes?: Summary;
  /** `differs` when any round's restore did. */
  readonly content: Content;
  readonly failures: readonly string[];
}

/** Median, the mean of the two middle samples for an even count. Undefined for no samples. */
export function summarize(samples: readonly number[]): Summary | undefined {
  const sorted = [...samples].sort((a, b) => a - b);
  const low = sorted[(sorted.length - 1) >> 1];
  const high = sorted[sorted.length >> 1];
  const min = sorted[0];
  const max = sorted.at(-1);
  if (low === undefined || high === undefined || min === undefined || max === undefined) return undefined;
  return { median: (low + high) / 2, min, max };
}

/** Puts the sessions of one tool together. `tool.name` selects them. */
export function toolRow(tool: Pick<Tool, 'name' | 'family' | 'class' | 'codec'>, sessions: readonly Session[]): ToolRow {
  const own = sessions.filter((session) => session.tool === tool.name);
  const operations: Partial<Record<Operation, OperationSummary>> = {};
  for (const operation of OPERATIONS) {
    const usages = own.flatMap((session) => session.usages[operation] ?? []);
    const wallS = summarize(usages.map((usage) => usage.wallS));
    const cpuS = summarize(usages.map((usage) => usage.cpuS));
    const peakRssBytes = summarize(usages.map((usage) => usage.peakRssBytes));
    if (wallS && cpuS && peakRssBytes) operations[operation] = { wallS, cpuS, peakRssBytes };
  }
  const storedBytes = summarize(own.flatMap((session) => session.storedBytes ?? []));
  return {
    name: tool.name,
    family: tool.family,
    class: tool.class,
    codec: tool.codec,
    operations,
    content: worstContent(own),
    failures: own.flatMap((session) => session.failure ?? []),
    ...(storedBytes === undefined ? {} : { storedBytes }),
  };
}

function worstContent(sessions: readonly Session[]): Content {
  const found = new Set(sessions.map((session) => session.content));
  if (found.has('differs')) return 'differs';
  return found.has('same') ? 'same' : 'unchecked';
}
