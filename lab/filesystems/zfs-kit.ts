/**
 * OpenZFS in a guest: its kernel modules, which Debian has as source only, are built once with DKMS in a root filesystem of its own, for Debian's
 * small kernel; that kernel then runs on this machine's own files (read-only) through virtiofs, without acceleration.
 * `HOLDFAST_ZFS_KIT` names a folder that keeps what was built between runs; building takes about ten minutes.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ToolError } from '../../src/core/index.ts';
import { runTool } from '../bacula/tool.ts';
import { findProgram } from '../environment.ts';
import { until } from '../until.ts';
import { GUEST_WORK, packInitrd } from './kernel-guest.ts';

const BUILD_TIMEOUT_MS = 5_400_000;
const MEMORY = '3000M';
const DAEMON_START_MS = 60_000;
const VIRTIOFSD = '/usr/lib/qemu/virtiofsd';
/** In the order in which they are loaded. */
const bootModules = ['virtio_ring', 'virtio', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci', 'fuse', 'virtiofs'];
const zfsModules = ['spl', 'zavl', 'znvpair', 'zcommon', 'icp', 'zlua', 'zunicode', 'zzstd', 'zfs'];

/** The package's own check looks at the kernel that runs, which is not the one that is built for; so DKMS is called again, by name. */
const buildScript = `set -e
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
apt-get update -qq
apt-get install -y -q --no-install-recommends linux-image-cloud-amd64 linux-headers-cloud-amd64
echo 'zfs-dkms zfs-dkms/note-incompatible-licenses note' | debconf-set-selections
apt-get install -y -q --no-install-recommends zfsutils-linux zfs-dkms || true
version=$(ls /usr/src | sed -n 's/^zfs-//p')
kernel=$(ls /lib/modules | grep cloud | sort -V | tail -n 1)
dkms build -m zfs -v "$version" -k "$kernel" -a x86_64
dkms install -m zfs -v "$version" -k "$kernel" -a x86_64
`;

const initScript = `#!/bin/busybox sh
export PATH=/bin:/usr/bin
/bin/busybox mkdir -p /proc /sys /dev /host
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t devtmpfs none /dev
for one in /modules/*.ko; do /bin/busybox insmod $one || echo "no $one"; done
/bin/busybox mount -t virtiofs -o ro host /host
/bin/busybox mount -t tmpfs -o size=2000m none /host/mnt
/bin/busybox mkdir -p /host${GUEST_WORK} /host/mnt/fs
/bin/busybox mount -t virtiofs work /host${GUEST_WORK}
# The kernel's own threads open the files of a pool from outside of the root that the module runs in.
/bin/busybox mkdir -p /mnt
/bin/busybox mount --bind /host/mnt /mnt
/bin/busybox mount -t proc none /host/proc
/bin/busybox mount -t sysfs none /host/sys
/bin/busybox mount -t devtmpfs none /host/dev
/bin/busybox chroot /host /bin/sh ${GUEST_WORK}/run.sh > /host${GUEST_WORK}/guest.log 2>&1
/bin/busybox sync
/bin/busybox poweroff -f
`;

/** Paths of this machine. */
export interface ZfsKit {
  readonly kernel: string;
  readonly initrd: string;
  /** Of OpenZFS, in the order in which they are loaded. */
  readonly modules: readonly string[];
  /** The root filesystem that the tools are in. */
  readonly root: string;
}

function modulesIn(root: string, names: readonly string[]): readonly string[] | undefined {
  const base = path.join(root, 'lib/modules');
  if (!existsSync(base)) return undefined;
  const files = readdirSync(base, { recursive: true }).map((file) => path.join(base, String(file)));
  const found = names.map((name) => files.find((file) => path.basename(file) === `${name}.ko`));
  return found.every((file) => file !== undefined) ? found : undefined;
}

async function buildRoot(root: string): Promise<void> {
  mkdirSync(path.dirname(root), { recursive: true });
  rmSync(root, { recursive: true, force: true });
  await runTool(['debootstrap', '--variant=minbase', '--include=ca-certificates', 'bookworm', root, 'http://deb.debian.org/debian'], { timeoutMs: BUILD_TIMEOUT_MS });
  writeFileSync(path.join(root, 'etc/apt/sources.list'), 'deb http://deb.debian.org/debian bookworm main contrib\n');
  writeFileSync(path.join(root, 'build.sh'), buildScript);
  // In a mount namespace of its own: nothing of it is left when it ends.
  const script = 'mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && cp /etc/resolv.conf "$1/etc/" && chroot "$1" /bin/bash /build.sh';
  await runTool(['unshare', '-m', 'sh', '-c', script, 'build', root], { timeoutMs: BUILD_TIMEOUT_MS });
}

/** Builds the kit, or finds the one that is kept. @throws {ToolError} Debian's packages cannot be had, or the build fails. */
export async function makeZfsKit(directory: string): Promise<ZfsKit> {
  const root = path.join(process.env['HOLDFAST_ZFS_KIT'] ?? directory, 'root');
  if (modulesIn(root, zfsModules) === undefined) await buildRoot(root);
  const modules = modulesIn(root, zfsModules);
  const boot = modulesIn(root, bootModules);
  const kernel = readdirSync(path.join(root, 'boot')).find((name) => name.startsWith('vmlinuz'));
  if (modules === undefined || boot === undefined || kernel === undefined) throw new ToolError('Build the modules of ZFS: they are not there afterwards');
  const initrd = await packInitrd(directory, boot, initScript);
  return { kernel: path.join(root, 'boot', kernel), initrd, modules, root };
}

async function serveFolder(work: string, tag: string, folder: string): Promise<{ readonly daemon: ChildProcess; readonly options: readonly string[] }> {
  const socket = path.join(work, `${tag}.sock`);
  rmSync(socket, { force: true });
  const daemon = spawn(VIRTIOFSD, [`--socket-path=${socket}`, '-o', `source=${folder}`, '-o', 'sandbox=chroot', '-o', 'cache=auto'], { stdio: 'ignore' });
  try {
    await until(`virtiofsd serves '${folder}'`, () => existsSync(socket) || daemon.exitCode !== null, DAEMON_START_MS);
    if (!existsSync(socket)) throw new ToolError(`Start virtiofsd for '${folder}': it ended without a socket '${socket}'`);
  } catch (error) {
    daemon.kill();
    throw error;
  }
  return { daemon, options: ['-chardev', `socket,id=${tag},path=${socket}`, '-device', `vhost-user-fs-pci,chardev=${tag},tag=${tag}`] };
}

/**
 * Runs the module at `file` (compiled, of this checkout) in the guest, where `work` is at {@link GUEST_WORK}, until the guest is off.
 * @returns what it printed. @throws {ToolError} QEMU fails, or it takes longer than `timeoutMs`.
 */
export async function runInZfsGuest(kit: ZfsKit, work: string, file: string, timeoutMs: number): Promise<string> {
  writeFileSync(path.join(work, 'run.sh'), `export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TZ=UTC LC_ALL=C.UTF-8\nexec '${realpathSync(process.execPath)}' '${file}' ${GUEST_WORK}\n`);
  const folders: Awaited<ReturnType<typeof serveFolder>>[] = [];
  try {
    for (const [tag, folder] of [['host', '/'], ['work', work]] as const) folders.push(await serveFolder(work, tag, folder));
    await runTool([
      findProgram('qemu-system-x86_64') ?? 'qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off', '-m', MEMORY, '-smp', '2', '-display', 'none', '-nodefaults', '-no-reboot',
      '-serial', `file:${path.join(work, 'console.log')}`, '-object', `memory-backend-memfd,id=mem,size=${MEMORY},share=on`, '-numa', 'node,memdev=mem', ...folders.flatMap(({ options }) => options),
      '-kernel', kit.kernel, '-initrd', kit.initrd, '-append', 'console=ttyS0 quiet panic=1 nokaslr mitigations=off',
    ], { timeoutMs });
  } finally {
    for (const { daemon } of folders) daemon.kill();
  }
  const log = path.join(work, 'guest.log');
  if (!existsSync(log)) throw new ToolError(`Run '${file}' in a guest: it wrote nothing; its console ends with: ${readFileSync(path.join(work, 'console.log'), 'utf8').slice(-2000)}`);
  return readFileSync(log, 'utf8');
}
