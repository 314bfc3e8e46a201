#!/bin/sh
# Makes the images of this folder: mkntfs and ntfs-3g 2022.10.3 (needs /dev/fuse and root), setfattr, libwim 1.13 through the lab's writer of
# WOF files (build the lab first).
set -e
export TZ=UTC LC_ALL=C.UTF-8
here=$(cd "$(dirname "$0")" && pwd)
writer="$here/../../../../../dist/lab/filesystems/wof-writer.js"
work=$(mktemp -d)
trap 'mountpoint -q "$work/mnt" && umount "$work/mnt"; rm -rf "$work"' EXIT
cd "$work"
mkdir mnt

lines() { yes "$1" 2>/dev/null | head -c "$2"; }
file() { lines "$(basename "$1")" "$2" > "$1"; }
mounted() { ntfs-3g -o "permissions,compression,streams_interface=$2,special_files=$3" "$1" mnt 2> /dev/null; }
reparse() { setfattr -n system.ntfs_reparse_data -v "0x$2" "$1"; }
utf16() { printf %s "$1" | iconv -f UTF-8 -t UTF-16LE | od -An -v -tx1 | tr -d ' \n'; }
word() { printf '%02x%02x' $(($1 % 256)) $(($1 / 256)); }

# A symbolic link (tag, flags) or a junction (tag, no flags): substitute name, then an empty print name.
link() {
  name=$(utf16 "$3"); bytes=$((${#name} / 2)); flags=$4
  body="$(word 0)$(word $bytes)$(word $((bytes + 2)))$(word 0)$flags${name}00000000"
  reparse "$1" "$2$(word $((${#body} / 2)))0000$body"
}

fill() {
  mounted "$1" xattr interix
  mkdir -p mnt/Deep/down/further mnt/many
  file mnt/hello.txt 1000
  file mnt/empty 0
  file mnt/Deep/down/further/inner.bin 70000
  file mnt/日本語ñ🧪.txt 12
  for i in $(seq 1 150); do file "mnt/many/a rather long name number $i" "$i"; done
  ln mnt/hello.txt mnt/Deep/again
  for i in $(seq 10 29); do ln mnt/empty "mnt/many/$(lines q 200 | tr -d '\n')$i"; done
  ln -s ../hello.txt mnt/Deep/interix-link
  mkfifo mnt/fifo
  mknod mnt/null c 1 3
  chmod 640 mnt/hello.txt; chown 1000:100 mnt/hello.txt
  chown 70001:70002 mnt/empty; chmod 4755 mnt/empty
  chmod 1700 mnt/Deep/down
  : > mnt/pieces.bin; : > mnt/other.bin
  for i in $(seq 0 39); do
    lines pieces.bin 320000 | dd of=mnt/pieces.bin bs=8000 skip="$i" seek="$i" count=1 iflag=fullblock conv=notrunc status=none
    lines other.bin 8000 >> mnt/other.bin
  done
  lines late 5000 | dd of=mnt/late-zeroes bs=1000 seek=20 status=none; truncate -s 300000 mnt/late-zeroes
  touch -d '1601-01-01 00:00:01.2345678' mnt/empty
  touch -d '2400-02-29 23:59:59.9999999' mnt/pieces.bin
  setfattr -n system.ntfs_dos_name -v 'INNER~1.BIN' mnt/Deep/down/further/inner.bin
  umount mnt
}

fill_windows() {
  mounted "$1" windows wsl
  lines stream 26 > mnt/hello.txt:Zone.Identifier
  lines stream 70000 > mnt/hello.txt:large
  lines stream 40 > mnt/Deep:ünï
  ln -s ../hello.txt mnt/Deep/wsl-link
  mknod mnt/Deep/wsl-null b 7 300
  mkdir mnt/Links mnt/Links/junction
  file mnt/Links/relative 0; link mnt/Links/relative 0c0000a0 '..\DEEP\down' 01000000
  file mnt/Links/absolute 0; link mnt/Links/absolute 0c0000a0 '\??\C:\deep\Again' 00000000
  link mnt/Links/junction 030000a0 '\??\C:\deep\down' ''
  file mnt/Links/elsewhere 0; link mnt/Links/elsewhere 0c0000a0 '\??\D:\no\such' 00000000
  umount mnt
}

fill_packed() {
  mounted "$1" windows wsl
  mkdir mnt/packed mnt/overlay
  setfattr -n system.ntfs_attrib_be -v 0x00000810 mnt/packed
  file mnt/packed/text 150000
  { lines 'part one' 66000; head -c 70000 /dev/zero; lines 'part two' 30000; } > mnt/packed/gap
  # Numbers that do not compress well: units of all three kinds in one file.
  { seq 1 9000; head -c 65536 /dev/zero; lines text 20000; } > mnt/packed/mixed
  for algorithm in 0 1 2 3; do
    { seq 1 9000; lines text 40000; } > "mnt/overlay/with-$algorithm"
    node -e "import('$writer').then(({ overlayFile }) => overlayFile('$work/mnt/overlay/with-$algorithm', $algorithm))"
  done
  umount mnt
}

image() {
  name=$1; size=$2; shift 2
  truncate -s "$size" "$name"
  mkntfs -F -q -Q "$@" "$name" > /dev/null 2>&1
}

image rich 8M -c 4096 -L 'Rich ñ'; fill rich; fill_windows rich; fill_packed rich
image narrow 5M -c 512 -s 512; fill narrow
image wide 24M -c 65536 -s 4096; fill wide
for name in rich narrow wide; do
  node -e "const z = require('zlib'), fs = require('fs'); fs.writeFileSync('$here/$name.img.br', z.brotliCompressSync(fs.readFileSync('$name'), { params: { [z.constants.BROTLI_PARAM_LGWIN]: 24, [z.constants.BROTLI_PARAM_QUALITY]: 11 } }))"
done
ls -l "$here"
