/**
 * The one image of the compose lab: Debian trixie with its Bacula 15.0.3 and Node.js, made from Debian's packages by debootstrap and imported. No registry of
 * images is asked.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '../environment.ts';
import { runTool } from '../bacula/tool.ts';
import type { DockerEngine } from './engine.ts';

const base = ['ca-certificates', 'nodejs', 'sqlite3', 'acl', 'attr', 'iproute2'];
const bacula = ['bacula-director', 'bacula-director-sqlite3', 'bacula-common-sqlite3', 'bacula-sd', 'bacula-fd', 'bacula-console', 'bacula-bscan'];

/** Programs of holdfast as a package manager would link them; the checkout is mounted at /opt/holdfast. */
const programs = ['holdfast', 'holdfast-bacula-bpipe'];

/** The packages of another release come the way this machine's packages come. */
function copyPackageSettings(root: string): void {
  const folder = '/etc/apt/apt.conf.d';
  mkdirSync(path.join(root, folder), { recursive: true });
  for (const name of existsSync(folder) ? readdirSync(folder) : []) if (name.includes('proxy')) copyFileSync(path.join(folder, name), path.join(root, folder, name));
  copyFileSync('/etc/resolv.conf', path.join(root, 'etc/resolv.conf'));
}

function writeProgram(root: string, name: string, text: string): void {
  const file = path.join(root, name);
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}

/** Where `package.json` says that a program is, in the checkout as containers see it. */
function startOf(name: string): string {
  const { bin } = JSON.parse(readFileSync(path.join(repositoryRoot(), 'package.json'), 'utf8')) as { bin: Readonly<Record<string, string>> };
  return path.posix.join('/opt/holdfast', bin[name] ?? 'missing');
}

/** Makes the root filesystem below `directory` (about 450 MB, one to two minutes) and imports it. @returns the image's name. @throws {ToolError} no packages. */
export async function makeImage(engine: DockerEngine, directory: string): Promise<string> {
  const root = path.join(directory, 'rootfs');
  await runTool(['debootstrap', '--variant=minbase', `--include=${base.join(',')}`, 'trixie', root], { timeoutMs: 600_000 });
  copyPackageSettings(root);
  // Without these the packages would start daemons and ask for a database.
  mkdirSync(path.join(root, 'etc/dbconfig-common'), { recursive: true });
  writeFileSync(path.join(root, 'etc/dbconfig-common/bacula-director-sqlite3.conf'), 'dbc_install=false\n');
  writeProgram(root, 'usr/sbin/policy-rc.d', '#!/bin/sh\nexit 101\n');
  const apt = 'export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" && apt-get clean';
  await runTool(['chroot', root, 'sh', '-c', apt, 'apt', ...bacula], { timeoutMs: 600_000 });
  for (const name of programs) writeProgram(root, `usr/bin/${name}`, `#!/bin/sh\nexec node '${startOf(name)}' "$@"\n`);
  writeProgram(root, 'usr/bin/catalog', readFileSync(path.join(repositoryRoot(), 'lab/compose/catalog.sh'), 'utf8'));
  mkdirSync(path.join(root, 'run/bacula'), { recursive: true });
  const image = 'holdfast-lab:15';
  await runTool(['sh', '-c', 'tar -C "$1" -c . | docker -H "$2" import - "$3"', 'import', root, engine.host, image], { timeoutMs: 600_000 });
  return image;
}
