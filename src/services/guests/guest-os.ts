/**
 * Which operating system a filesystem holds, as it says itself: Linux in `os-release`, Windows in its registry.
 * Source: os-release(5), "Format"; Windows keeps `ProductName` at "Windows 10" in Windows 11, which is known by builds from 22000 on.
 */
import { UnsupportedError, type FileTree } from '../../core/index.ts';
import type { Filesystem, FilesystemName, FilesystemVolume } from '../../formats/filesystems/index.ts';
import { openHive, type RegistryHive } from '../../formats/registry/index.ts';
import { isFatal } from '../entry-error.ts';
import { findInGuest, textInGuest } from './guest-file.ts';

/** Trees of one filesystem that are looked into besides the main one. */
const TREES_MAX = 64;

const WINDOWS_11_BUILD = 22_000;
const windowsFamilies: readonly FilesystemName[] = ['ntfs', 'fat', 'exfat', 'refs'];

/** Names that installers give to the subvolume of the root; they are tried first. */
const usualRoots: readonly string[] = ['root', '@', '@rootfs'];

/** What a guest says of itself: not to be trusted, and unescaped. JSON-safe. */
export interface GuestOs {
  readonly family: 'linux' | 'windows';
  /** `PRETTY_NAME`, or the product's name. */
  readonly name: string;
  /** `ID`: `debian`. */
  readonly id?: string;
  /** `VERSION_ID`: `12`; of Windows `22H2`. */
  readonly version?: string;
  /** Of Windows: `19045.3803`. */
  readonly build?: string;
  readonly hostname?: string;
  /** Entries of `/etc/fstab`. */
  readonly mounts?: number;
  /** The tree of the filesystem that it is in, where that is not the main one: `subvol=@`. */
  readonly tree?: string;
  /** The registry was being written to when the copy was made. */
  readonly dirty?: true;
}

/** Takes what could not be read; the rest counts. */
export interface OsVisitor {
  failed(what: string, error: unknown): void;
  /** A tree of the filesystem that is encrypted, and no key opens it. */
  locked(tree: string): void;
}

type OnFailure = OsVisitor['failed'];

/** A value as a shell reads it, for what `os-release` may hold. */
function unquoted(text: string): string {
  const double = /^"(.*)"$/.exec(text)?.[1];
  if (double !== undefined) return double.replace(/\\([\\"$`])/g, '$1');
  return /^'(.*)'$/.exec(text)?.[1] ?? text;
}

/** Lines without blanks around them, and without comments. */
function linesOf(text: string): readonly string[] {
  return text.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
}

/** The fields of an `os-release`. */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  return new Map(linesOf(text).flatMap((line) => {
    const [, name, value] = /^([A-Za-z0-9_]+)=(.*)$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, unquoted(value)] as const];
  }));
}

/** Undefined also where reading failed, which `failed` is told. */
async function attempt<T>(what: string, read: () => Promise<T | undefined>, failed: OnFailure): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isFatal(error)) throw error;
    failed(what, error);
    return undefined;
  }
}

async function linuxIn(tree: FileTree, failed: OnFailure): Promise<GuestOs | undefined> {
  const read = (path: string): Promise<string | undefined> => attempt(path, () => textInGuest(tree, path), failed);
  const release = await read('/etc/os-release') ?? await read('/usr/lib/os-release');
  if (release === undefined) return undefined;
  const fields = parseOsRelease(release);
  const [id, version] = [fields.get('ID'), fields.get('VERSION_ID')];
  const hostname = linesOf(await read('/etc/hostname') ?? '')[0];
  const fstab = await read('/etc/fstab');
  return {
    // Source: os-release(5): what stands for fields that are absent.
    family: 'linux', name: fields.get('PRETTY_NAME') ?? fields.get('NAME') ?? 'Linux', ...(id === undefined ? {} : { id }), ...(version === undefined ? {} : { version }),
    ...(hostname === undefined ? {} : { hostname }), ...(fstab === undefined ? {} : { mounts: linesOf(fstab).length }),
  };
}

/** What `read` finds in a hive; undefined where there is no such hive. */
async function inHive<T>(tree: FileTree, name: string, read: (hive: RegistryHive) => Promise<T>): Promise<T | undefined> {
  const id = await findInGuest(tree, `/Windows/System32/config/${name}`, { ignoreCase: true });
  if (id === undefined) return undefined;
  const source = await tree.open(id);
  try {
    return await read(await openHive(source));
  } finally {
    await source.close();
  }
}

async function productOf(hive: RegistryHive): Promise<GuestOs> {
  const value = async (name: string): Promise<string | undefined> => (await hive.value('Microsoft\\Windows NT\\CurrentVersion', name))?.toString();
  const [product, build, revision] = [await value('ProductName') ?? 'Windows', await value('CurrentBuild') ?? await value('CurrentBuildNumber'), await value('UBR')];
  const version = await value('DisplayVersion') ?? await value('ReleaseId') ?? await value('CurrentVersion');
  const name = Number(build) >= WINDOWS_11_BUILD ? product.replace(/^Windows 10\b/, 'Windows 11') : product;
  return {
    family: 'windows', name, ...(version === undefined ? {} : { version }), ...(build === undefined ? {} : { build: revision === undefined ? build : `${build}.${revision}` }),
    ...(hive.dirty ? { dirty: true } : {}),
  };
}

async function computerName(hive: RegistryHive): Promise<string | undefined> {
  const set = await hive.value('Select', 'Current');
  const name = `ControlSet${String(set ?? 1).padStart(3, '0')}\\Control\\ComputerName\\ComputerName`;
  return (await hive.value(name, 'ComputerName'))?.toString();
}

async function windowsIn(tree: FileTree, failed: OnFailure): Promise<GuestOs | undefined> {
  const system = await attempt('/Windows/System32/config/SOFTWARE', () => inHive(tree, 'SOFTWARE', productOf), failed);
  if (system === undefined) return undefined;
  const hostname = await attempt('/Windows/System32/config/SYSTEM', () => inHive(tree, 'SYSTEM', computerName), failed);
  return { ...system, ...(hostname === undefined ? {} : { hostname }) };
}

/** Other trees that may hold a root, the likeliest first. */
async function otherTrees(filesystem: Filesystem): Promise<readonly FilesystemVolume[]> {
  const trees = (await filesystem.volumes?.() ?? []).filter(({ kind }) => kind !== 'snapshot');
  const [usual, others] = [trees.filter(({ name }) => usualRoots.includes(name)), trees.filter(({ name }) => !usualRoots.includes(name))];
  return [...usual, ...others].slice(0, TREES_MAX);
}

async function inOtherTree(filesystem: Filesystem, { kind, name }: FilesystemVolume, failed: OnFailure): Promise<GuestOs | undefined> {
  const tree = await filesystem.openVolume?.(kind, name);
  if (tree === undefined) return undefined;
  try {
    const found = await linuxIn(tree, failed);
    return found === undefined ? undefined : { ...found, tree: `${kind}=${name}` };
  } finally {
    await tree.close();
  }
}

/** The operating system in a filesystem, as far as it can be told; undefined where there is none that is known. Never throws for bad content. */
export async function findOs(filesystem: Filesystem, visitor: OsVisitor): Promise<GuestOs | undefined> {
  const failed: OnFailure = (what, error) => { visitor.failed(what, error); };
  if (windowsFamilies.includes(filesystem.facts.format)) return windowsIn(filesystem, failed);
  const main = await linuxIn(filesystem, failed);
  if (main !== undefined) return main;
  for (const other of await attempt('its other trees', () => otherTrees(filesystem), failed) ?? []) {
    const step = `${other.kind}=${other.name}`;
    const found = await attempt(step, () => inOtherTree(filesystem, other, failed), (what, error) => {
      // Only trees of ZFS have keys of their own; they say so by naming the dataset.
      if (error instanceof UnsupportedError && error.data['dataset'] !== undefined) visitor.locked(step);
      else failed(what, error);
    });
    if (found !== undefined) return found;
  }
  return undefined;
}
