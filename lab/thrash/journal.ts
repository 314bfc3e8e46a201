/** What processes were promised, written down outside the store: one file for each process, one JSON object a line, before and after each step. */
import { appendFileSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** One line. `ask` and `forgotten` name a snapshot; `begin` and `saved` a backup by its seed; `trouble` is anything that should not be. */
export type JournalEntry =
  | { readonly step: 'begin'; readonly seed: number }
  | { readonly step: 'saved'; readonly seed: number; readonly id: string; readonly md5: string }
  | { readonly step: 'ask' | 'forgotten'; readonly id: string }
  | { readonly step: 'done'; readonly what: string }
  | { readonly step: 'trouble'; readonly what: string; readonly message: string; readonly id?: string };

/** The journal of one process. */
export class Journal {
  readonly #file: string;

  constructor(directory: string, process: string) {
    this.#file = path.join(directory, `${process}.jsonl`);
  }

  write(entry: JournalEntry): void {
    appendFileSync(this.#file, `${JSON.stringify(entry)}\n`);
  }
}

/** What all journals of a directory say together. */
export interface Journals {
  /** MD5 of each snapshot that was acknowledged, by id. */
  readonly saved: ReadonlyMap<string, string>;
  /** Snapshots that someone wanted to forget, and those whose forgetting was acknowledged. */
  readonly asked: ReadonlySet<string>;
  readonly forgotten: ReadonlySet<string>;
  readonly troubles: readonly Extract<JournalEntry, { step: 'trouble' }>[];
  /** Steps by name. */
  readonly counts: ReadonlyMap<string, number>;
}

/** What is known so far; a last line that is not whole, yet or because of a kill, is passed over. */
export function readJournals(directory: string): Journals {
  const saved = new Map<string, string>();
  const [asked, forgotten] = [new Set<string>(), new Set<string>()];
  const troubles: Extract<JournalEntry, { step: 'trouble' }>[] = [];
  const counts = new Map<string, number>();
  for (const name of readdirSync(directory).filter((one) => one.endsWith('.jsonl'))) {
    for (const line of readFileSync(path.join(directory, name), 'utf8').split('\n').slice(0, -1)) {
      const entry = JSON.parse(line) as JournalEntry;
      const what = entry.step === 'done' ? entry.what : entry.step;
      counts.set(what, (counts.get(what) ?? 0) + 1);
      if (entry.step === 'saved') saved.set(entry.id, entry.md5);
      if (entry.step === 'ask') asked.add(entry.id);
      if (entry.step === 'forgotten') forgotten.add(entry.id);
      if (entry.step === 'trouble') troubles.push(entry);
    }
  }
  return { saved, asked, forgotten, troubles, counts };
}
