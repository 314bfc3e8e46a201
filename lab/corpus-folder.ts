/** Reads folders of a corpus: volumes, manifests, catalog rows and keys, whatever their names are. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { defaultLimits, type FileTree, lookupPath } from '../src/core/index.ts';
import { fileSource } from '../src/fs-adapters/posix/index.ts';
import { type BaculaJob, type BaculaVolumeSet, type NameResolver, openVolumeSet, type VolumeInput } from '../src/formats/bacula/index.ts';
import { compareTreeWithManifest, type CompareOptions, type ManifestLine, manifestPath, manifestRoot, parseManifest } from './manifest.ts';

/** A manifest: the tree after the last job of the folder, or after its first (`atFull`). */
export interface CorpusManifest {
  readonly name: string;
  readonly lines: readonly ManifestLine[];
  readonly atFull: boolean;
}

/** A folder with good volumes. */
export interface CorpusFolder {
  readonly name: string;
  readonly path: string;
  readonly manifests: readonly CorpusManifest[];
}

/** Open volumes of a folder. */
export interface CorpusSet {
  readonly volumes: BaculaVolumeSet;
  /** Volume files. */
  readonly paths: readonly string[];
  readonly keyFiles: readonly string[];
  /** Jobs that make up a manifest, in the order they ran. */
  chainFor(manifest: CorpusManifest): Promise<readonly BaculaJob[]>;
  /** What of the manifest the jobs recorded, and which entries a chain without recorded deletions brings back. */
  optionsFor(chain: readonly BaculaJob[], manifest: CorpusManifest): Promise<CompareOptions>;
}

/** Names in a directory, sorted; empty when there is none. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory).catch(() => [])).sort();
}

/** Files that hold keys: those of the whole corpus, and whatever lies in the folder that is no listing, manifest or volume. */
export async function keyFilesOf(corpus: string, folder: string): Promise<readonly string[]> {
  const shared = (await namesIn(join(corpus, 'keys'))).filter((name) => name.endsWith('.pem') || name.endsWith('.key')).map((name) => join(corpus, 'keys', name));
  const own = (await namesIn(folder)).filter((name) => !/\.(txt|tsv|jsonl|json|bin|md)$/.test(name)).map((name) => join(folder, name));
  const files: string[] = [];
  for (const path of [...own, ...shared]) if ((await stat(path)).isFile()) files.push(path);
  return files;
}

/** Names in ACLs by this machine's accounts. */
export async function localNames(): Promise<NameResolver> {
  const table = async (path: string): Promise<ReadonlyMap<string, number>> => {
    const rows = (await readFile(path, 'utf8')).split('\n').map((line) => line.split(':'));
    return new Map(rows.map(([name = '', , id = '']) => [name, Number(id)]));
  };
  const users = await table('/etc/passwd');
  const groups = await table('/etc/group');
  return (kind, name) => (kind === 'user' ? users : groups).get(name);
}

/** Manifests of a folder. */
export async function readManifests(folder: string): Promise<readonly CorpusManifest[]> {
  const found: CorpusManifest[] = [];
  for (const name of await namesIn(folder)) {
    const match = /^manifest-(.+?)(-at-full)?\.jsonl$/.exec(name);
    if (match !== null) found.push({ name: match[1] ?? '', lines: parseManifest(await readFile(join(folder, name), 'utf8')), atFull: match[2] !== undefined });
  }
  return found;
}

/** Jobs that a folder is about: rows of its catalog, in the order they ran; all when it has no catalog. */
export async function catalogJobs(folder: string, set: BaculaVolumeSet): Promise<readonly BaculaJob[]> {
  const text = await readFile(join(folder, 'catalog-jobs.tsv'), 'utf8').catch(() => '');
  const [head = '', ...rows] = text.split('\n').filter((line) => line !== '');
  const columns = head.split('\t');
  const wanted = new Set(rows.map((row) => {
    const values = row.split('\t');
    return `${values[columns.indexOf('VolSessionId')]}/${values[columns.indexOf('VolSessionTime')]}`;
  }));
  const jobs = set.jobs().filter((job) => wanted.size === 0 || wanted.has(`${job.session.id}/${job.session.time}`));
  return [...jobs].sort((a, b) => a.jobId - b.jobId);
}

/** Volumes of a directory, opened as a set whose order is found from their labels. */
export async function openVolumes(directory: string, keyFiles: readonly string[]): Promise<BaculaVolumeSet> {
  const inputs: VolumeInput[] = [];
  for (const name of await namesIn(directory)) inputs.push({ name, source: await fileSource(new Uint8Array(Buffer.from(join(directory, name)))) });
  const keys = await Promise.all(keyFiles.map((file) => readFile(file)));
  return openVolumeSet(inputs, { limits: defaultLimits, keys }, { order: 'any', resolveName: await localNames() });
}

/** All folders with volumes and manifests. */
export async function corpusFolders(corpus: string): Promise<readonly CorpusFolder[]> {
  const folders: CorpusFolder[] = [];
  for (const name of await namesIn(corpus)) {
    const path = join(corpus, name);
    if (!(await stat(path)).isDirectory() || !(await namesIn(path)).includes('volumes')) continue;
    folders.push({ name: basename(path), path, manifests: await readManifests(path) });
  }
  return folders;
}

/** Opens a folder's volumes. */
export async function openFolder(corpus: string, folder: CorpusFolder): Promise<CorpusSet> {
  const keyFiles = await keyFilesOf(corpus, folder.path);
  const directory = join(folder.path, 'volumes');
  const volumes = await openVolumes(directory, keyFiles);
  const jobs = await catalogJobs(folder.path, volumes);
  return {
    volumes, keyFiles, paths: (await namesIn(directory)).map((name) => join(directory, name)),
    async chainFor(manifest) {
      const found: BaculaJob[] = [];
      for (const job of jobs) if (await lookupPath(volumes.jobTree({ session: job.session }), manifestRoot(manifest.lines)) !== undefined) found.push(job);
      return found.slice(0, manifest.atFull ? 1 : undefined);
    },
    optionsFor: (chain, manifest) => optionsFor(volumes, chain, manifest, folder),
  };
}

/** Whether any entry that has attributes in the manifest has some in the tree: jobs store them on request only. */
export async function storesAttributes(tree: FileTree, lines: readonly ManifestLine[]): Promise<boolean> {
  for (const line of lines) {
    const id = line.xattr === undefined ? undefined : await lookupPath(tree, manifestPath(line));
    if (id !== undefined && (await tree.attributes(id)).size > 0) return true;
  }
  return false;
}

async function optionsFor(volumes: BaculaVolumeSet, chain: readonly BaculaJob[], manifest: CorpusManifest, folder: CorpusFolder): Promise<CompareOptions> {
  const tree = volumes.chainTree(chain.map((job) => job.jobId));
  const attributes = /acl|xattr/.test(folder.name) || await storesAttributes(tree, manifest.lines);
  const hardLinks = chain.some((job) => job.hardLinks > 0);
  if (chain.some((job) => job.deletions > 0)) return { attributes, hardLinks };
  const before = new Set(folder.manifests.find((other) => other.atFull && other.name === manifest.name)?.lines.map((line) => line.path));
  const differences = await compareTreeWithManifest(tree, manifestRoot(manifest.lines), manifest.lines, { attributes, hardLinks });
  const revived = differences.filter((one) => one.what === 'entry' && one.found === 'present' && before.has(one.path));
  return { attributes, hardLinks, extra: new Set(revived.map((one) => one.path)) };
}
