/**
 * Where unmodified Bacula comes from: Debian bookworm's packages as installed (9.6.7, volumes in BB02), or Debian
 * trixie's (15.0.3, BB03) unpacked beside them and run through their own loader, so that no chroot is entered.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { findProgram } from '../environment.ts';
import { runTool } from './tool.ts';
import type { Command } from './tool.ts';

/** One set of Bacula's programs. */
export interface BaculaInstallation {
  readonly version: string;
  readonly pluginDirectory: string;
  /** The package's shell script that makes the catalog's tables. */
  readonly tablesScript: string;
  /** The command that runs one of its programs: `bacula-sd`, `bconsole`, `bls` … */
  command(program: string, ...parameters: string[]): Command;
}

/** Programs the scenarios call; all come with Debian's packages bacula-director, -sd, -fd, -console and -bscan. */
export const baculaPrograms: readonly string[] = ['bacula-dir', 'bacula-sd', 'bacula-fd', 'bconsole', 'bls', 'bscan', 'sqlite3'];

const tables = 'usr/share/bacula-director/make_sqlite3_tables';
const trixiePackages = ['bacula-director', 'bacula-director-sqlite3', 'bacula-common-sqlite3', 'bacula-sd', 'bacula-fd', 'bacula-console', 'bacula-bscan'];

/** The packages of this machine; the caller has made sure that they are there. */
export function installedBacula(): BaculaInstallation {
  return {
    version: '9.6.7',
    pluginDirectory: '/usr/lib/bacula',
    tablesScript: `/${tables}`,
    command: (program, ...parameters) => [findProgram(program) ?? program, ...parameters],
  };
}

/** Trixie's packages unpacked in `root`, see {@link unpackTrixieBacula}. */
export function unpackedBacula(root: string): BaculaInstallation {
  const loader = path.join(root, 'lib64/ld-linux-x86-64.so.2');
  const libraries = `${root}/usr/lib/x86_64-linux-gnu:${root}/usr/lib/bacula`;
  return {
    version: '15.0.3',
    pluginDirectory: path.join(root, 'usr/lib/bacula'),
    tablesScript: path.join(root, tables),
    command: (program, ...parameters) => [loader, '--library-path', libraries, path.join(root, 'usr/sbin', program), ...parameters],
  };
}

/**
 * Unpacks trixie's packages under `directory` (about 400 MB, forty seconds to two minutes) without configuring any of them. HOLDFAST_LAB_TRIXIE
 * names a folder where an earlier run has done so.
 * @throws {ToolError} when Debian's packages cannot be had.
 */
export async function unpackTrixieBacula(directory: string): Promise<BaculaInstallation> {
  const ready = process.env['HOLDFAST_LAB_TRIXIE'];
  if (ready !== undefined) return unpackedBacula(ready);
  const root = path.join(directory, 'trixie');
  await runTool(['debootstrap', '--variant=minbase', '--include=ca-certificates', 'trixie', root], { timeoutMs: 600_000 });
  copyProxySettings(root);
  await runTool(['chroot', root, 'apt-get', 'update']);
  await runTool(['chroot', root, 'apt-get', 'install', '--download-only', '-y', '--no-install-recommends', ...trixiePackages], { timeoutMs: 600_000 });
  const cache = path.join(root, 'var/cache/apt/archives');
  for (const name of readdirSync(cache).filter((file) => file.endsWith('.deb'))) await runTool(['dpkg-deb', '-x', path.join(cache, name), root]);
  return unpackedBacula(root);
}

/** The packages of another release come the way this machine's packages come. */
function copyProxySettings(root: string): void {
  const folder = '/etc/apt/apt.conf.d';
  if (!existsSync(folder)) return;
  mkdirSync(path.join(root, folder), { recursive: true });
  for (const name of readdirSync(folder).filter((file) => file.includes('proxy'))) copyFileSync(path.join(folder, name), path.join(root, folder, name));
  copyFileSync('/etc/resolv.conf', path.join(root, 'etc/resolv.conf'));
}
