/** Heals what a repository cannot be opened without, then everything small. */
import { NotFoundError, type ObjectStore } from '../../core/index.ts';
import { protectedNames } from '../check/object-check.ts';
import { LASTING_PERCENT, isLasting, lasting } from '../parity/index.ts';
import { healObject, renewSidecar, type HealParts } from './heal.ts';

/** One thing that a repair did, or in a dry run would do. */
export interface RepairAction {
  /** What was done: see `docs/cli.md`. */
  readonly action: 'healed' | 'salvaged' | 'indexed' | 'parity' | 'fenced' | 'forgotten' | 'finished' | 'left';
  /** Name of the object. */
  readonly name: string;
  readonly message: string;
}

/** Told of each action. */
export type ActionSink = (action: RepairAction['action'], name: string, message: string) => void;

/** Lists first: whoever can't read them does nothing at all. */
const order: readonly string[] = ['condemned', 'reprieved', 'relocated', 'config', 'keys', 'manifests'];

async function namesToHeal(objects: ObjectStore): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const name of protectedNames(objects)) if (isLasting(name)) names.push(name);
  const rank = (name: string): number => order.indexOf(name.split('/')[0] ?? '');
  return names.sort((a, b) => rank(a) - rank(b));
}

/** Heals small objects by their sidecars; nothing needs to be open for that, and no key is needed. */
export async function healObjects(parts: HealParts, act: ActionSink): Promise<void> {
  for (const name of await namesToHeal(parts.objects)) {
    const outcome = await healObject(parts, name);
    if (outcome === 'healed') act('healed', name, 'made whole from its parity');
    if (outcome === 'beyond-repair') act('left', name, 'its parity does not suffice to heal it');
  }
}

/** All lasting objects that are there get the sidecars that they lack, or whose own are damaged. */
export async function protectObjects(parts: HealParts, act: ActionSink): Promise<void> {
  for (const directory of lasting) {
    const names: string[] = directory === 'config' ? ['config'] : [];
    if (names.length === 0) for await (const page of parts.objects.list(directory)) names.push(...page.map(({ name }) => name));
    for (const name of names) {
      try {
        if (await healObject(parts, name) !== 'beyond-repair' && await renewSidecar(parts, name, LASTING_PERCENT)) act('parity', name, 'got a new sidecar');
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error; // removed meanwhile
      }
    }
  }
}
