/** Following a location `ROOT[::STEP]…` through the layers. What a layer is, its magic number decides, never its name. */
import { NotFoundError, UsageError, formatSourcePath, parseSourcePath, splitPath, textOf } from '../../core/index.ts';
import type { FileTree, SourcePath, TreeProblem } from '../../core/index.ts';
import type { SnapshotStore } from '../../engine/index.ts';
import type { ImageFormatName } from '../../formats/images/index.ts';
import type { BaculaLayer } from './bacula-layer.ts';
import { openRoot } from './host.ts';
import { enterDiskImage, enterFiles, enterNode, enterPlainDisk, type Entering } from './enter.ts';
import { KeyUse } from './key-remarks.ts';
import { Owner } from './owner.ts';
import { parsePathText } from './path-text.ts';
import type { Arrival, DiskPlace, LayerInfo, NodePlace, OpenOptions, Place, RepositoryPlace, VolumesPlace } from './place.ts';
import { typeName } from '../entry-record.ts';
import { forest } from '../trees/forest.ts';
import { childPath, lookupBelow, type TreeView } from '../trees/walk.ts';

/** Steps from a disk to a volume on it. */
const volumeSteps = /^(p\d+|luks|(lv|md|ldm)=.+)$/;

/** Steps from a filesystem to another tree in it; of a disk image, `snapshot=` is one of the disk. */
const treeSteps = /^(subvol|dataset|snapshot)=/;

/** A path in front of which the format of the disk in it stands. */
const forcedSteps = /^(raw|qcow2|vhdx|vmdk|vhd|vdi):(\/.*)$/;

/** What a place is called in an error, and which steps it takes. */
function offers(place: Place): string {
  if (place.kind === 'repository') return `repository '${place.name}' takes 'latest' or a snapshot id`;
  if (place.kind === 'volumes') return `Bacula volume '${place.name}' takes ${place.volumes.jobs.map((job) => `'${job.step}'`).join(', ') || 'no step: it holds no job'}`;
  if (place.kind === 'disk') return `disk '${place.name}' takes 'p1', 'p2' …, 'lv=VG/LV', 'md=NAME', 'ldm=NAME'${place.image?.facts.snapshots === undefined ? '' : ", 'snapshot=NAME'"} or a path in its filesystem`;
  return `'${textOf(place.view.path) || '/'}' takes a path, which begins with '/', or is opened further if it is a repository, Bacula volume or disk image ('disk')`;
}

/** A location that was followed to its end; owns all layers it opened. */
export class Location {
  readonly source: SourcePath;
  readonly layers: LayerInfo[] = [];
  place: Place;
  readonly options: OpenOptions;
  readonly #owner = new Owner();
  readonly #problems: (() => readonly TreeProblem[])[] = [];

  /** Use {@link openLocation}. */
  constructor(source: SourcePath, start: Arrival, options: OpenOptions) {
    this.source = source;
    this.options = options;
    this.place = start.place;
    this.#arrive(start);
  }

  get text(): string {
    return formatSourcePath(this.source);
  }

  /** Takes over something to be closed with the location, the last one first. */
  owns(thing: { close(): Promise<void> }): void {
    this.#owner.own(thing);
  }

  /**
   * Goes one layer deeper if the place is a file or directory that holds one, as far as that counts.
   * @throws {FormatError} and others, when a layer is recognised but can't be opened.
   */
  async enter(what: Entering): Promise<void> {
    if (this.place.kind !== 'node') return;
    const inner = await enterNode(this.place, what, this.options);
    if (inner !== undefined) this.#arrive(inner);
  }

  /** Goes into a file that is a disk image, by its magic number or because `format` says so, and nothing else. @throws as {@link enter}. */
  async enterDisk(format?: ImageFormatName): Promise<void> {
    if (this.place.kind !== 'node') return;
    const inner = await enterDiskImage(this.place, this.options, format);
    if (inner !== undefined) this.#arrive(inner);
  }

  /** Follows one step. @throws {UsageError} for a step that the layer doesn't have. @throws {NotFoundError} */
  async step(text: string): Promise<void> {
    if (text.startsWith('/')) return this.#stepPath(text);
    const forced = forcedSteps.exec(text);
    if (forced !== null) {
      await this.#stepPath(forced[2] ?? '');
      return this.enterDisk(forced[1] as ImageFormatName);
    }
    if (volumeSteps.test(text)) return this.#stepVolume(text);
    if (treeSteps.test(text)) return this.#stepTree(text);
    if (text.startsWith('stream=')) return this.#stepStream(text.slice('stream='.length));
    if (text === 'disk') return this.#stepDisk();
    if (this.place.kind === 'node') await this.enter({ directories: 'any', images: false });
    const { place } = this;
    if (/^(job|jobs|session)=/.test(text)) {
      if (place.kind !== 'volumes') throw new UsageError(`Open step '${text}': not at a Bacula volume; ${offers(place)}`, { step: text });
      return this.#stepJob(place, text);
    }
    if (place.kind !== 'repository') throw new UsageError(`Open step '${text}': not at a repository; ${offers(place)}`, { step: text });
    return this.#stepSnapshot(place, text);
  }

  /**
   * The node that the location denotes. Volumes stand for their only job.
   * @throws {UsageError} at a repository, or at volumes with several jobs: it lists the steps there are.
   */
  async node(): Promise<TreeView> {
    if (this.place.kind === 'volumes') {
      const [job, ...others] = this.place.volumes.jobs;
      if (job === undefined || others.length > 0) throw new UsageError(`Open '${this.text}': name one job; ${offers(this.place)}`);
      await this.#stepJob(this.place, job.step);
    }
    if (this.place.kind === 'disk' && this.place.disks.length > 1) throw new UsageError(`Open '${this.text}': it is several disks; ${offers(this.place)}`);
    if (this.place.kind === 'repository' || this.place.kind === 'volumes') throw new UsageError(`Open '${this.text}': name a snapshot; ${offers(this.place)}`);
    return this.place.view;
  }

  /** Like {@link node}, but a repository shows its snapshots and volumes their jobs as directories. */
  async browse(): Promise<TreeView> {
    const { place } = this;
    if (place.kind === 'node' || place.kind === 'disk') return place.view;
    const tree = place.kind === 'volumes' ? await jobForest(place.volumes) : await snapshotForest(place.repository);
    this.owns(tree);
    return { tree, id: tree.rootId, path: new Uint8Array() };
  }

  /** Damage that touches what the location denotes, as far as it is known by now: ask again when all was read. */
  problems(): readonly TreeProblem[] {
    return this.#problems.flatMap((one) => one());
  }

  /** The same, and what is wrong with the volumes that the location ends at. */
  damage(): readonly TreeProblem[] {
    return this.place.kind === 'volumes' ? [...this.problems(), ...this.place.volumes.problems()] : this.problems();
  }

  /** What is on the disk that the location ends at, which may be a file without a container; nothing where nothing is known. */
  async diskLayers(): Promise<readonly LayerInfo[]> {
    if (this.place.kind === 'node' && (await this.place.view.tree.stat(this.place.view.id)).type !== 'file') return [];
    const { describeDisks } = await import('../guests/disk-layers.ts');
    const { layers, problems } = await describeDisks(await this.#toDisk('disk'), this.options);
    this.#problems.push(() => problems);
    return layers;
  }

  /** Closes all layers, also after a failure of one of them. */
  async close(): Promise<void> {
    for (const remark of this.options.keyUse?.take() ?? []) this.options.onNote?.(remark);
    await this.#owner.close();
  }

  #arrive(arrival: Arrival): void {
    this.place = arrival.place;
    if (arrival.layer !== undefined) this.layers.push(arrival.layer);
    if (arrival.owned !== undefined) this.owns(arrival.owned);
    if (arrival.problems !== undefined) this.#problems.push(arrival.problems);
  }

  async #stepPath(text: string): Promise<void> {
    const place: Place = this.place;
    if (place.kind === 'node' && (await place.view.tree.stat(place.view.id)).type === 'file') {
      await this.enter({ directories: 'no', images: true });
      await this.#enterPlainDisk();
    }
    const reached: Place = this.place;
    if (reached.kind === 'disk') await this.#enterFilesystem(reached);
    const view = await this.node();
    const steps = parsePathText(text);
    if (await this.#volumeList(view, text)) return;
    const id = await lookupBelow(view, steps);
    if (id === undefined) throw new NotFoundError(`Open '${text}': no such file or directory in '${textOf(view.path) || '/'}' of '${this.text}'`, { path: text });
    const shown = splitPath(steps).reduce<Uint8Array>(childPath, view.path);
    const { type, size } = await view.tree.stat(id);
    this.#arrive({ place: { kind: 'node', view: { tree: view.tree, id, path: shown } }, layer: { layer: 'path', path: textOf(shown), type: typeName(type), size } });
  }

  /** `/a/Vol1,/a/Vol2`: a volume set inside a tree, unless a file has exactly that name. */
  async #volumeList(view: TreeView, text: string): Promise<boolean> {
    if (!text.includes(',/') || (await lookupBelow(view, parsePathText(text))) !== undefined) return false;
    const members: NodePlace[] = [];
    for (const one of text.split(/,(?=\/)/)) {
      const id = await lookupBelow(view, parsePathText(one));
      if (id === undefined) throw new NotFoundError(`Open '${one}': no such file in '${this.text}'`, { path: one });
      members.push({ kind: 'node', view: { tree: view.tree, id, path: splitPath(parsePathText(one)).reduce<Uint8Array>(childPath, view.path) } });
    }
    this.#arrive(await enterFiles(members, this.options));
    return true;
  }

  /** `disk`: the disk in an image that would else be a file. */
  async #stepDisk(): Promise<void> {
    await this.enter({ directories: 'no', images: true });
    if (this.place.kind !== 'disk') throw new UsageError(`Open step 'disk': not at a disk image; ${offers(this.place)}`, { step: 'disk' });
  }

  /** From a file to the disk in it: by its magic number, else as it is. @throws {UsageError} it is no file. */
  async #toDisk(step: string): Promise<DiskPlace> {
    if (this.place.kind === 'node') await this.enter({ directories: 'no', images: true });
    await this.#enterPlainDisk();
    const place: Place = this.place;
    if (place.kind !== 'disk') throw new UsageError(`Open step '${step}': not at a disk image; ${offers(place)}`, { step });
    return place;
  }

  /** A file without a known container is the disk itself. Only who names a step of a disk gets here. @throws {UnsupportedError} its container is known, and not read. */
  async #enterPlainDisk(): Promise<void> {
    if (this.place.kind !== 'node') return;
    const disk = await enterPlainDisk(this.place, this.options);
    if (disk !== undefined) this.#arrive(disk);
  }

  async #stepVolume(text: string): Promise<void> {
    const place = await this.#toDisk(text);
    const { enterVolume } = await import('./guest-layer.ts');
    for (const arrival of await enterVolume(place, text, this.options)) this.#arrive(arrival);
  }

  async #enterFilesystem(place: DiskPlace): Promise<void> {
    const { enterFilesystem } = await import('./guest-layer.ts');
    for (const arrival of await enterFilesystem(place, this.options)) this.#arrive(arrival);
  }

  /** `snapshot=NAME` of a disk image: the disk as it was then; else another tree of the filesystem. */
  async #stepTree(text: string): Promise<void> {
    if (this.place.kind !== 'node' || this.place.filesystem === undefined) {
      const disk = await this.#toDisk(text);
      const { mayHaveSnapshots } = await import('./guest-layer.ts');
      const { image } = disk;
      if (text.startsWith('snapshot=') && image !== undefined && (image.facts.snapshots !== undefined || !await mayHaveSnapshots(image))) {
        const { enterDiskSnapshot } = await import('./image-layer.ts');
        return this.#arrive(await enterDiskSnapshot(image, disk.name, text.slice('snapshot='.length)));
      }
      await this.#enterFilesystem(disk);
    }
    const { filesystem } = this.place as NodePlace;
    if (filesystem === undefined) throw new UsageError(`Open step '${text}': not at a filesystem; ${offers(this.place)}`, { step: text });
    const { enterTreeVolume } = await import('./guest-layer.ts');
    this.#arrive(await enterTreeVolume(filesystem, text));
  }

  async #stepStream(name: string): Promise<void> {
    const { place } = this;
    if (place.kind !== 'node') throw new UsageError(`Open step 'stream=${name}': not at a file; ${offers(place)}`, { step: `stream=${name}` });
    const { enterStream } = await import('./guest-layer.ts');
    this.#arrive(await enterStream(place, name));
  }

  async #stepJob(place: VolumesPlace, text: string): Promise<void> {
    const { tree, layer, problems } = await place.volumes.open(text);
    this.#arrive({ place: rootPlace(tree), layer, owned: tree, problems });
  }

  async #stepSnapshot(place: RepositoryPlace, text: string): Promise<void> {
    const snapshot = await place.repository.resolveSnapshot(text);
    const { showSnapshot } = await import('../volumes/volume-file-tree.ts');
    const tree = await showSnapshot(place.repository, snapshot);
    this.#arrive({ place: rootPlace(tree), layer: { layer: 'snapshot', ...snapshot }, owned: tree });
  }
}

function rootPlace(tree: FileTree): NodePlace {
  return { kind: 'node', view: { tree, id: tree.rootId, path: new Uint8Array() } };
}

function jobForest(volumes: BaculaLayer): Promise<FileTree> {
  return forest(volumes.jobs.map((job) => ({ name: job.name, timeMs: job.timeMs, open: async () => (await volumes.open(job.step)).tree })));
}

async function snapshotForest(repository: SnapshotStore): Promise<FileTree> {
  const snapshots = await repository.snapshots();
  const { showSnapshot } = await import('../volumes/volume-file-tree.ts');
  return forest(snapshots.map((one) => ({ name: one.id, timeMs: one.time, open: () => showSnapshot(repository, one) })));
}

/** How far a location should be opened beyond its last step. */
export type Depth = 'as-is' | 'disk' | 'inside-root' | 'inside' | 'inside-disk';

/**
 * Opens a location. `inside-root`: a bare ROOT that is a volume, a directory of volumes or a repository is entered;
 * `inside`: so is a file at the end of the steps; `inside-disk`: so is a disk image; `as-is`: it stays the file or directory that it is;
 * `disk`: but for a bare ROOT that is a disk image, which is the disk in it.
 * @throws {UsageError} bad syntax or an unknown step. @throws {NotFoundError} @throws {FormatError} @throws {UnsupportedError}
 */
export async function openLocation(text: string, options: OpenOptions = {}, depth: Depth = 'as-is'): Promise<Location> {
  const source = parseSourcePath(text);
  const opening = { ...options, keyUse: new KeyUse() };
  const location = new Location(source, await openRoot(source, opening), opening);
  try {
    for (const step of source.steps) await location.step(step);
    const isRoot = source.steps.length === 0;
    const inside = depth === 'inside' || depth === 'inside-disk';
    if (depth === 'disk') {
      if (isRoot) await location.enterDisk();
    } else if (inside || (isRoot && depth === 'inside-root')) await location.enter({ directories: isRoot ? 'only' : 'no', images: depth === 'inside-disk' });
  } catch (error) {
    await location.close();
    throw error;
  }
  return location;
}
