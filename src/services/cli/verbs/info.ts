/** `info`: which layers a location goes through, what each one is like, and the damage found on the way. */
import type { TreeProblem } from '../../../core/index.ts';
import { openLocation, type LayerInfo } from '../../locations/index.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { layerLines } from '../layer-text.ts';

/** Members of a set that the location goes through, and that are not here. */
function missingMembers({ layer, missing, table, format }: LayerInfo): readonly TreeProblem[] {
  if (typeof missing !== 'number') return [];
  return [{ kind: 'missing-member', where: layer, message: `${missing} members of the ${String(table ?? format)} set are not here` }];
}

/** Runs the verb. Damage makes exit code 1, as `check` does. */
export async function run(context: Context, operands: readonly string[], _options: CommonOptions): Promise<Outcome> {
  const [text = ''] = operands;
  const problems: TreeProblem[] = [];
  const location = await openLocation(text, { ...context.opening, onProblem: (problem) => problems.push(problem) }, 'inside-disk');
  try {
    const { place } = location;
    const layers = [...location.layers];
    const passed = layers.flatMap(missingMembers);
    const last = layers.at(-1);
    if (place.kind === 'repository' && last !== undefined) {
      const [snapshots, statistics] = [await place.repository.snapshots(), await place.repository.statistics()];
      layers[layers.length - 1] = { ...last, snapshots: snapshots.length, ...statistics };
    }
    // What is on a disk, as far as it can be told without going in.
    if (place.kind === 'disk' || (place.kind === 'node' && location.source.steps.length === 0)) layers.push(...await location.diskLayers());
    const damage = [...problems, ...location.damage(), ...passed];
    for (const layer of layers) for (const line of layerLines(layer)) context.print(line);
    for (const problem of damage) context.print(`damage ${problem.kind} at ${problem.where}: ${problem.message}`);
    return { exitCode: damage.length > 0 ? 1 : 0, result: { location: text, layers, problems: damage } };
  } finally {
    await location.close();
  }
}
