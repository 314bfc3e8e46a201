/**
 * Every job of the corpus through the store, as a user would do it: `backup VOLUMES::jobs=… --repo`, once more (no new chunk), then
 * the snapshot compared with the manifest, and `restore` to a directory compared with it too, metadata and all.
 */
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { lookupPath, type FileTree } from '../src/core/index.ts';
import { Repository, nodeWorld } from '../src/engine/index.ts';
import { PosixTree } from '../src/fs-adapters/posix/index.ts';
import { Checks } from './checks.ts';
import { corpusFolders, openFolder, type CorpusFolder, type CorpusSet } from './corpus-folder.ts';
import { holdfast, jsonOf } from './holdfast.ts';
import { compareTreeWithManifest, manifestRoot, type CompareOptions, type Difference, type ManifestLine } from './manifest.ts';
import type { Scenario, ScenarioContext } from './scenario.ts';

function shown(differences: readonly Difference[]): string {
  return differences.slice(0, 5).map((one) => `${one.path}: ${one.what} is '${one.found}', expected '${one.expected}'`).join('; ');
}

/** What is stored of a tree, or lies in a directory, against the manifest; plain chains bring deleted entries back. */
class Roundtrip {
  readonly #context: ScenarioContext;
  readonly #checks: Checks;
  readonly #repository: string;
  #targets = 0;

  constructor(context: ScenarioContext, checks: Checks) {
    this.#context = context;
    this.#checks = checks;
    this.#repository = path.join(context.workDirectory, 'repository');
  }

  async prepare(): Promise<void> {
    const result = await holdfast(['init', this.#repository]);
    this.#checks.expect('init', result.status === 0, result.stderr);
  }

  async folder(folder: CorpusFolder): Promise<void> {
    const set = await openFolder(this.#context.corpus ?? '', folder);
    try {
      for (const manifest of folder.manifests) await this.#manifest(folder, set, manifest);
    } finally {
      await set.volumes.close();
    }
  }

  async #manifest(folder: CorpusFolder, set: CorpusSet, manifest: CorpusFolder['manifests'][number]): Promise<void> {
    const what = `${folder.name}: ${manifest.name}${manifest.atFull ? ' at full' : ''}`;
    const chain = await set.chainFor(manifest);
    if (chain.length === 0) return this.#checks.expect(what, false, 'no job holds the manifest\'s root');
    const location = `${set.paths.join(',')}::jobs=${chain.map((job) => job.jobId).join('+')}`;
    const keys = set.keyFiles.flatMap((file) => ['--key', file]);
    for (const round of ['first', 'second']) {
      const result = await holdfast(['backup', location, '--repo', this.#repository, '--json', ...keys]);
      this.#checks.expect(`${what}: ${round} backup`, result.status === 0, `exit ${result.status}: ${result.stderr.slice(-300)}${result.stdout.slice(-300)}`);
      if (round === 'second' && result.status === 0) {
        this.#checks.expect(`${what}: no new chunk`, jsonOf(result)['chunksNew'] === 0, `${String(jsonOf(result)['chunksNew'])} new chunks`);
      }
    }
    const options = await set.optionsFor(chain, manifest);
    await this.#snapshot(what, manifest.lines, options);
    await this.#restored(what, manifest.lines, options);
  }

  async #snapshot(what: string, lines: readonly ManifestLine[], options: CompareOptions): Promise<void> {
    const repository = await Repository.open(nodeWorld(this.#repository), { mode: 'read' });
    try {
      const tree = await repository.openSnapshot((await repository.resolveSnapshot('latest')).id);
      const differences = await compareTreeWithManifest(tree, manifestRoot(lines), lines, options);
      this.#checks.expect(`${what}: snapshot equals the manifest, ${lines.length} entries`, differences.length === 0, shown(differences));
    } finally {
      await repository.close();
    }
  }

  async #restored(what: string, lines: readonly ManifestLine[], options: CompareOptions): Promise<void> {
    const target = path.join(this.#context.workDirectory, `target-${this.#targets += 1}`);
    mkdirSync(target);
    const result = await holdfast(['restore', `${this.#repository}::latest`, target, '--verify', '--json']);
    this.#checks.expect(`${what}: restore`, result.status === 0, `exit ${result.status}: ${result.stderr.slice(-300)}${result.stdout.slice(-300)}`);
    const tree: FileTree = new PosixTree({ root: new Uint8Array(Buffer.from(target)) });
    try {
      const root = manifestRoot(lines);
      const differences = await lookupPath(tree, root) === undefined
        ? [{ path: target, what: 'root', found: 'absent', expected: 'present' }]
        : await compareTreeWithManifest(tree, root, lines, options);
      this.#checks.expect(`${what}: restored files equal the manifest`, differences.length === 0, shown(differences));
    } finally {
      await tree.close();
      rmSync(target, { recursive: true, force: true });
    }
  }
}

/** The corpus through the store and back to disk. */
export const storeRoundtrip: Scenario = {
  name: 'store-roundtrip',
  needs: ['root', 'corpus'],
  quick: true,
  async run(context) {
    const checks = new Checks(context);
    const roundtrip = new Roundtrip(context, checks);
    await roundtrip.prepare();
    for (const folder of await corpusFolders(context.corpus ?? '')) await roundtrip.folder(folder);
    const repository = path.join(context.workDirectory, 'repository');
    const check = await holdfast(['check', repository, '--read-data', '--json']);
    checks.expect('the repository is good at the end', check.status === 0, check.stdout.slice(0, 400));
    return checks.tally;
  },
};
