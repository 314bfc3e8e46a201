#!/bin/sh
# Makes the disk of this folder: sfdisk, mke2fs, mkntfs and ntfs-3g (needs /dev/fuse and root), mkswap, hivexregedit (Debian: libhivex-bin,
# libwin-hivex-perl), brotli; the hives begin as empty ones of this project's own writer, so build it first. Usage: make.sh; writes guests.raw.br.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
writer="$here/../../../../dist/src/formats/registry/testing/hive-writer.js"
work=$(mktemp -d)
trap 'mountpoint -q "$work/mnt" && umount "$work/mnt"; rm -rf "$work"' EXIT
cd "$work"

mkdir -p linux/etc linux/usr/lib
printf '%s\n' 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"' 'NAME="Debian GNU/Linux"' 'VERSION_ID="12"' '# a comment' 'ID=debian' > linux/usr/lib/os-release
ln -s ../../../usr/lib/os-release linux/etc/os-release
printf 'web\033[31m1\n' > linux/etc/host.real
ln -s /etc/host.real linux/etc/hostname
printf '# table\nUUID=1 / ext4 defaults 0 1\n\nUUID=2 none swap sw 0 0\n' > linux/etc/fstab
truncate -s 1M linux.img
mke2fs -q -F -t ext4 -b 1024 -N 64 -O ^has_journal,^resize_inode -L 'root' -U 11111111-2222-3333-4444-555555555555 -d linux linux.img

for hive in SOFTWARE SYSTEM; do
  node --input-type=module -e "
import { writeFileSync } from 'node:fs';
import { hiveBytes } from '$writer';
writeFileSync('$hive', hiveBytes({}));"
done
cat > software.reg <<'REG'
Windows Registry Editor Version 5.00

[\Microsoft]

[\Microsoft\Windows NT]

[\Microsoft\Windows NT\CurrentVersion]
"ProductName"="Windows 10 Pro"
"CurrentBuild"="22631"
"DisplayVersion"="23H2"
"UBR"=dword:00000a5d
REG
cat > system.reg <<'REG'
Windows Registry Editor Version 5.00

[\Select]
"Current"=dword:00000002

[\ControlSet002]

[\ControlSet002\Control]

[\ControlSet002\Control\ComputerName]

[\ControlSet002\Control\ComputerName\ComputerName]
"ComputerName"="DESK-7"
REG
hivexregedit --merge SOFTWARE software.reg
hivexregedit --merge SYSTEM system.reg
truncate -s 2M windows.img
mkntfs -q -F -s 512 -L System windows.img
mkdir mnt
ntfs-3g windows.img mnt
mkdir -p mnt/WINDOWS/system32/config
cp SOFTWARE SYSTEM mnt/WINDOWS/system32/config/
umount mnt

truncate -s 1M swap.img
mkswap -q -L paging swap.img
truncate -s 7M guests.raw
sfdisk -q guests.raw <<'TABLE'
label: gpt
start=2048, size=2048, type=L, name="linux"
start=4096, size=4096, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7
start=8192, size=2048, type=S
start=10240, size=1024, type=L
TABLE
dd if=linux.img of=guests.raw bs=1M seek=1 conv=notrunc status=none
dd if=windows.img of=guests.raw bs=1M seek=2 conv=notrunc status=none
dd if=swap.img of=guests.raw bs=1M seek=4 conv=notrunc status=none
printf '\353X\220-FVE-FS-' | dd of=guests.raw bs=1M seek=5 conv=notrunc status=none
brotli -f -q 11 -o "$here/guests.raw.br" guests.raw
