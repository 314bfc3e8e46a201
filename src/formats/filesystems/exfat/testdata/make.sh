#!/bin/sh
# Makes the images of this folder: mkfs.exfat of exfatprogs 1.2 and exfat-fuse 1.3 (needs /dev/fuse and root). The tree is that of FAT's images.
set -e
export TZ=UTC LC_ALL=C.UTF-8
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
device=
trap 'mountpoint -q "$work/mnt" && umount "$work/mnt"; [ -n "$device" ] && losetup -d "$device"; rm -rf "$work"' EXIT
cd "$work"
mkdir mnt

file() { yes "$(basename "$1")" 2>/dev/null | head -c "$2" > "$1"; touch -d "$3" "$1"; }

fill() {
  device=$(losetup -f --show "$1")
  mount.exfat-fuse -o rw "$device" mnt > /dev/null
  mkdir -p mnt/Deep/down/further mnt/many
  file mnt/README.TXT 1000 '2001-02-03 04:05:06'
  file 'mnt/Long file name, with spaces.txt' 5000 '1980-01-01 00:00:00'
  file mnt/lower.txt 12 '2099-12-31 23:59:58'
  file mnt/empty 0 '2024-02-29 12:00:00'
  file mnt/日本語ñ.txt 70000 '2038-01-19 03:14:08'
  file mnt/Deep/down/further/inner.bin 4096 '2107-12-31 23:59:58'
  for i in $(seq 1 150); do file "mnt/many/a rather long name number $i" "$i" '2010-10-10 10:10:10'; done
  file "mnt/$(yes abcdefghij | tr -d '\n' | head -c 251).txt" 3 '2020-01-01 00:00:00'
  for i in $(seq 1 10); do yes "small$i" 2>/dev/null | head -c 6000 > "mnt/small$i"; done
  for i in 1 3 5 7 9; do rm "mnt/small$i"; done
  # Two files that grow by turns: neither stays in one piece.
  : > mnt/pieces.bin; : > mnt/other.bin
  for i in $(seq 0 9); do
    yes pieces.bin 2>/dev/null | head -c 40000 | dd of=mnt/pieces.bin bs=4000 skip="$i" seek="$i" count=1 iflag=fullblock conv=notrunc status=none
    head -c 4000 /dev/zero >> mnt/other.bin
  done
  touch -d '2015-05-05 05:05:04' mnt/pieces.bin
  chmod 555 mnt/README.TXT
  umount mnt
  while ! losetup -d "$device"; do sleep 1; done
  device=
}

truncate -s 4M plain.img
mkfs.exfat -L Plain -c 4K plain.img > /dev/null
fill plain.img
truncate -s 6M small.img
mkfs.exfat -L 'Ünïcødé 😀' -c 512 -b 4K --pack-bitmap small.img > /dev/null
fill small.img
for image in plain small; do node -e '
  const { brotliCompressSync, constants } = require("node:zlib"), fs = require("node:fs");
  const bytes = fs.readFileSync(process.argv[1]);
  fs.writeFileSync(process.argv[2], brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_LGWIN]: 24 } }));
' "$image.img" "$here/$image.img.br"; done
