/**
 * The images of the corpus through locations, as a user names them: directly, in each container, on partitions, logical volumes and arrays, in a repository, and in a volume that a
 * real Bacula wrote; every name, fact and byte against the manifest beside the image. Damaged ones must fail by name, or read right.
 */
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { FormatError, IntegrityError, LimitError, NotFoundError, UnsupportedError, type FileTree } from '../src/core/index.ts';
import { openLocation } from '../src/services/locations/index.ts';
import { walk } from '../src/services/trees/walk.ts';
import { baculaPrograms, installedBacula } from './bacula/installation.ts';
import { BaculaServer } from './bacula/server.ts';
import { Stand } from './bacula/stand.ts';
import type { CompareOptions } from './filesystems/entry-facts.ts';
import { differencesFromImageManifest } from './filesystems/manifest.ts';
import { imagesFolder } from './images/corpus.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

/** What is left out for a kind of filesystem, and why: the driver that wrote the manifest shows it otherwise. */
const optionsFor: Readonly<Record<string, CompareOptions>> = {
  // The kernel numbers inodes as it meets them.
  fat: { omit: ['inode', 'changed', 'attributes', 'accessed'] },
  exfat: { omit: ['inode', 'changed', 'attributes', 'accessed'] },
  // ntfs-3g makes up the target of a junction from where it is mounted.
  ntfs: { timestampNanoseconds: 100, attribute: (name) => !name.startsWith('system.'), ignore: (name) => name === 'reparse/junction' },
  btrfs: { omit: ['first name'], ignore: (name) => /^snap.*nested$/.test(name) },
};

/** Disks of several files, and volumes on disks: what a user would type, and the manifest. */
const layers: readonly (readonly [string, string])[] = [
  ['mbr-logical.raw::p2', 'mbr-p2'], ['mbr-logical.raw::p5', 'mbr-p5'], ['mbr-logical.raw::p7', 'mbr-p7'],
  ['gpt-hybrid.raw::p1', 'gpth-p1'], ['gpt-hybrid.raw::p5', 'gpth-p5'], ['gpt-4kn.raw::p1', 'gpt4k-p1'], ['gpt-4kn.raw::p2', 'gpt4k-p2'],
  ['md-raid0-1.2-1.raw,md-raid0-1.2-2.raw', 'md-raid0-1.2'], ['md-raid1-0.90-1.raw', 'md-raid1-0.90'], ['md-raid1-1.2-2.raw', 'md-raid1-1.2'],
  ['md-raid5-1.2-3.raw,md-raid5-1.2-1.raw,md-raid5-1.2-2.raw', 'md-raid5-1.2'], ['md-raid5-1.2-1.raw,md-raid5-1.2-3.raw', 'md-raid5-1.2'],
];
const logicalVolumes: readonly (readonly [string, string])[] = [['lin', 'lvm-lin'], ['str', 'lvm-str'], ['thin1', 'lvm-thin1'], ['thinsnap', 'lvm-thin1']];

/** Images that a container's manifest can be compared in, whatever they are called. */
const isContainer = /^disk-(?!luks|esx).*\.(qcow2|vhdx?|vmdk|vdi)$/;
const isExtent = /-(flat|f\d+|s\d+)\.vmdk$/;

class Round {
  readonly #stand: Stand;
  readonly #folder: string;

  constructor(context: ScenarioContext, folder: string) {
    this.#stand = new Stand(context);
    this.#folder = folder;
  }

  #path(...names: readonly string[]): string {
    return path.join(this.#folder, ...names);
  }

  /** One location, which ends at the root of a filesystem, against one manifest. */
  async #compare(location: string, manifest: string, shown: string): Promise<void> {
    let found: readonly string[];
    try {
      const opened = await openLocation(location);
      try {
        const { tree } = await opened.node();
        found = await differencesFromImageManifest(tree, manifest, optionsFor[tree.format] ?? {});
        // The root of these has no time of its own: drivers show the time of the mount.
        if (/^(ex)?fat$/.test(tree.format)) found = found.filter((line) => !line.startsWith('".": modified '));
        found = [...found, ...opened.damage().map(({ kind, where, message }) => `${kind} at ${where}: ${message}`)];
      } finally {
        await opened.close();
      }
    } catch (error) {
      // The corpus came without some files that images name.
      if (error instanceof NotFoundError && /is not among the files/.test(error.message)) return this.#stand.checks.skip(`${shown}: ${error.message}`);
      found = [String(error)];
    }
    this.#stand.none(shown, found);
  }

  #named(folder: string, files: string, step: string): string {
    return `${files.split(',').map((file) => path.join(folder, file)).join(',')}${step}`;
  }

  /** All that lies in a folder as the corpus does; `prefix` names the folder in a location. */
  async direct(prefix: string, where: string): Promise<void> {
    const names = readdirSync(this.#folder).filter((name) => name.endsWith('.manifest.jsonl')).sort();
    for (const file of names) {
      const name = file.replace(/(\.after-replay)?\.manifest\.jsonl$/, '');
      if (name.startsWith('disk-')) continue;
      const members = readdirSync(this.#folder).filter((one) => one === `${name}.raw` || (one.startsWith(`${name}-`) && /^-[a-z]\.raw$/.test(one.slice(name.length))));
      if (members.length === 0) continue;
      const separator = prefix.includes('::') ? '::' : '';
      const joined = members.map((one) => path.join(prefix.split('::').at(-1) ?? '', one)).join(',');
      await this.#compare(`${separator === '' ? '' : `${prefix.slice(0, prefix.lastIndexOf('::'))}::`}${joined}::/`, this.#path(file), `${where}: ${name}`);
    }
  }

  async containers(): Promise<void> {
    const folder = this.#path('containers');
    for (const name of readdirSync(folder).filter((one) => isContainer.test(one) && !isExtent.test(one)).sort()) {
      const stem = name.replace(/\.[^.]*$/, '');
      const companions = readdirSync(folder).filter((one) => one !== name && (one.startsWith(`${stem}-`) || (stem.startsWith('disk-datafile') && one === `${stem}.bin`)) && !one.endsWith('.qcow2'));
      const also = readdirSync(this.#folder).filter((one) => one.startsWith(`${stem}-flat`) || one === `${stem}.vmdk`).map((one) => path.join('..', one));
      for (const [step, manifest] of [['p2', 'disk-p2-ext4'], ['p3', 'disk-p3-ntfs']] as const) {
        await this.#compare(this.#named(folder, [name, ...companions, ...also].join(','), `::${step}::/`), this.#path(`${manifest}.manifest.jsonl`), `container ${name}, ${step}`);
      }
    }
  }

  async layers(): Promise<void> {
    const folder = this.#path('layers');
    for (const [location, manifest] of layers) {
      const [files = '', step] = location.split('::');
      const isArray = files.startsWith('md-');
      const way = step === undefined ? '' : `::${step}`;
      const named = this.#named(folder, files, way);
      const array = isArray ? `::${await this.#arrayStep(named)}` : '';
      await this.#compare(`${named}${array}::/`, this.#path('layers', `${manifest}.manifest.jsonl`), `layer ${location}`);
    }
    const members = this.#named(folder, 'lvm-pv2.raw,lvm-pv1.raw', '');
    const group = (await stepsOf(members)).find((one) => one.startsWith('lv='))?.slice(3).split('/')[0] ?? '';
    for (const [name, manifest] of logicalVolumes) await this.#compare(`${members}::lv=${group}/${name}::/`, this.#path('layers', `${manifest}.manifest.jsonl`), `layer lv=${group}/${name}`);
  }

  async #arrayStep(location: string): Promise<string> {
    return (await stepsOf(location)).find((step) => step.startsWith('md=')) ?? 'md=';
  }

  /** A damaged image gives an error that names structure and field, or reads to its end; and never takes long. */
  async damaged(): Promise<void> {
    const folder = this.#path('corrupt');
    for (const name of readdirSync(folder).filter((one) => one.endsWith('.raw')).sort()) {
      const begun = Date.now();
      const found = await this.#readAll(path.join(folder, name), name.startsWith('gpt') || name.startsWith('mbr'));
      const seconds = (Date.now() - begun) / 1000;
      this.#stand.checks.expect(`damaged ${name}: ${found.shown} (${seconds.toFixed(1)} s)`, found.isInOrder && seconds < 60, found.shown);
    }
  }

  async #readAll(file: string, isTable: boolean): Promise<{ readonly isInOrder: boolean; readonly shown: string }> {
    const errors: unknown[] = [];
    const notes: string[] = [];
    let files = 0;
    try {
      for (const step of isTable ? await stepsOf(file) : ['']) {
        const opened = await openLocation(`${file}${step === '' ? '' : `::${step}`}::/`, { onNote: (text) => { notes.push(text); } });
        try {
          files += await readFiles((await opened.node()).tree, errors);
          for (const { kind, message } of opened.damage()) errors.push(new IntegrityError(`${kind}: ${message}`));
        } finally {
          await opened.close();
        }
      }
    } catch (error) {
      errors.push(error);
    }
    // One that is not even recognised any more is not found, and not used: that names nothing.
    const strange = errors.find((error) => !(error instanceof FormatError || error instanceof LimitError || error instanceof IntegrityError || error instanceof UnsupportedError));
    if (strange !== undefined) return { isInOrder: false, shown: String(strange) };
    const [first] = [...errors.map(String), ...notes];
    return { isInOrder: first !== undefined || files > 0, shown: `${files} files, ${first?.slice(0, 160) ?? 'no error'}` };
  }

  async repository(): Promise<void> {
    const repository = this.#stand.path('repository');
    await this.#stand.holdfast('init', repository);
    await this.#stand.holdfast('backup', this.#folder, '--repo', repository);
    await this.direct(`${repository}::latest::${this.#folder}`, 'in a repository');
  }

  /** A few images, one of each family, in a job of an unmodified Bacula. */
  async bacula(): Promise<void> {
    const source = this.#stand.path('images');
    mkdirSync(source);
    const chosen = ['ext4-inline-bigalloc', 'xfs-dirty-journal', 'ntfs-512', 'fat16', 'exfat', 'btrfs-mixed-4k-xxhash'].filter((name) => readdirSync(this.#folder).includes(`${name}.raw`));
    for (const name of chosen) copyFileSync(this.#path(`${name}.raw`), path.join(source, `${name}.raw`));
    const server = await BaculaServer.start(await installedBacula(), this.#stand.path('bacula'), { jobs: [{ name: 'images', options: { signature: 'SHA256', sparse: 'yes', compression: 'GZIP1' } }] });
    try {
      server.setSources('images', [source]);
      const row = await server.row(await server.startJob('images', 'Full'));
      const end = await server.settled(row.id, 300_000);
      this.#stand.good('images', end, server.logOf(end.id));
      const volumes = readdirSync(server.volumes).map((one) => path.join(server.volumes, one)).join(',');
      for (const name of chosen) {
        const manifest = readdirSync(this.#folder).find((one) => one.startsWith(`${name}.`) && one.endsWith('.manifest.jsonl')) ?? '';
        await this.#compare(`${volumes}::job=${end.id}::${source}/${name}.raw::/`, this.#path(manifest), `in a Bacula volume: ${name}`);
      }
    } finally {
      await server.stop();
    }
  }

  get tally(): Tally {
    return this.#stand.checks.tally;
  }
}

/** Steps of the volumes on a disk. */
async function stepsOf(file: string): Promise<readonly string[]> {
  const opened = await openLocation(file, {}, 'inside-disk');
  try {
    return (await opened.diskLayers()).flatMap(({ parts }) => (parts as readonly { readonly step: string }[] | undefined ?? []).map(({ step }) => step));
  } finally {
    await opened.close();
  }
}

/** Reads every file of a tree; what fails is collected. @returns how many were read. */
async function readFiles(tree: FileTree, errors: unknown[]): Promise<number> {
  let files = 0;
  const buffer = new Uint8Array(1 << 20);
  await walk({ tree, id: tree.rootId, path: new Uint8Array() }, {
    page: async (entries) => {
      for (const { id, stat } of entries) {
        if (stat.type !== 'file') continue;
        try {
          const source = await tree.open(id);
          for (let at = 0; at < source.size; at += buffer.length) await source.readInto(at, buffer.subarray(0, Math.min(buffer.length, source.size - at)));
          await source.close();
          files += 1;
        } catch (error) {
          errors.push(error);
        }
      }
    },
    failed: (_, error) => { errors.push(error); },
  });
  return files;
}

async function run(context: ScenarioContext, isFull: boolean): Promise<Tally> {
  const folder = imagesFolder();
  if (folder === undefined) {
    context.log('skip: no corpus of images');
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const round = new Round(context, folder);
  await round.direct(folder, 'directly');
  await round.layers();
  await round.damaged();
  await round.containers();
  if (isFull) {
    await round.repository();
    await round.bacula();
  }
  return round.tally;
}

/** Everything but repository and Bacula. */
export const scenario: Scenario = { name: 'guest-images', needs: [], quick: true, run: (context) => run(context, false) };

/** All of it. */
export const fullScenario: Scenario = { name: 'guest-images-full', needs: ['root', ...baculaPrograms], quick: false, run: (context) => run(context, true) };
