/**
 * The kernel modules and tools of OpenZFS, which Debian has as source: built in a root filesystem of its own with DKMS, once.
 * `HOLDFAST_ZFS_KIT` names a folder that keeps them between runs; building takes about five minutes.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ToolError } from '../../src/core/index.ts';
import { runTool } from '../bacula/tool.ts';
import type { ZfsKit } from './zfs-fill.ts';

const BUILD_TIMEOUT_MS = 3_600_000;
/** In the order in which they are loaded. */
const modules = ['spl', 'zavl', 'znvpair', 'zcommon', 'icp', 'zlua', 'zunicode', 'zzstd', 'zfs'];

/** The package's own check of the machine looks at the running kernel; that is not the one which is built for. */
const buildScript = `set -e
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
echo 'zfs-dkms zfs-dkms/note-incompatible-licenses note' | debconf-set-selections
apt-get update -qq
apt-get install -y -q --no-install-recommends linux-headers-amd64 zfsutils-linux zfs-dkms
version=$(ls /usr/src | sed -n 's/^zfs-//p')
kernel=$(ls /usr/src | sed -n 's/^linux-headers-\\(.*-amd64\\)$/\\1/p' | grep -v cloud | sort -V | tail -n 1)
dkms build -m zfs -v "$version" -k "$kernel" -a x86_64
`;

function modulesIn(root: string): readonly string[] | undefined {
  const base = path.join(root, 'var/lib/dkms/zfs');
  if (!existsSync(base)) return undefined;
  const files = readdirSync(base, { recursive: true }).map((file) => path.join(base, String(file))).filter((file) => !file.includes('cloud') && !file.includes('/build/'));
  const found = modules.map((name) => files.find((file) => path.basename(file) === `${name}.ko`));
  return found.every((file) => file !== undefined) ? found : undefined;
}

/** Builds the kit, or finds the one that is kept. @throws {ToolError} Debian's packages cannot be had, or the build fails. */
export async function makeZfsKit(directory: string): Promise<ZfsKit> {
  const root = path.join(process.env['HOLDFAST_ZFS_KIT'] ?? directory, 'root');
  const kept = modulesIn(root);
  if (kept !== undefined) return { modules: kept, root };
  mkdirSync(path.dirname(root), { recursive: true });
  rmSync(root, { recursive: true, force: true });
  await runTool(['debootstrap', '--variant=minbase', '--include=ca-certificates', 'bookworm', root, 'http://deb.debian.org/debian'], { timeoutMs: BUILD_TIMEOUT_MS });
  writeFileSync(path.join(root, 'etc/apt/sources.list'), 'deb http://deb.debian.org/debian bookworm main contrib\n');
  writeFileSync(path.join(root, 'build.sh'), buildScript);
  const script = 'mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && cp /etc/resolv.conf "$1/etc/" && chroot "$1" /bin/bash /build.sh';
  const { stdout } = await runTool(['unshare', '-m', 'sh', '-c', script, 'build', root], { timeoutMs: BUILD_TIMEOUT_MS });
  const built = modulesIn(root);
  if (built === undefined) throw new ToolError(`Build the modules of ZFS: they are not there afterwards; the build ends with '${stdout.toString().slice(-1000)}'`);
  return { modules: built, root };
}
