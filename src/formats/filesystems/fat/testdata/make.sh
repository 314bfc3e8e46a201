#!/bin/sh
# Makes the images of this folder: mkfs.fat 4.2 and mtools 4.0. Every file holds its name and a newline, again and again, up to its size.
set -e
export TZ=UTC LC_ALL=C.UTF-8 MTOOLS_SKIP_CHECK=1 MTOOLSRC=/dev/null
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

file() { yes "$(basename "$1")" 2>/dev/null | head -c "$2" > "$1"; touch -d "$3" "$1"; }

mkdir -p tree/Deep/down/further tree/many
file tree/README.TXT 1000 '2001-02-03 04:05:06'
file 'tree/Long file name, with spaces.txt' 5000 '1980-01-01 00:00:00'
file tree/lower.txt 12 '2099-12-31 23:59:58'
file tree/empty 0 '2024-02-29 12:00:00'
file tree/日本語ñ.txt 70000 '2038-01-19 03:14:08'
file tree/Deep/down/further/inner.bin 4096 '2107-12-31 23:59:58'
for i in $(seq 1 150); do file "tree/many/a rather long name number $i" "$i" '2010-10-10 10:10:10'; done
long=$(yes abcdefghij | tr -d '\n' | head -c 251).txt
file "tree/$long" 3 '2020-01-01 00:00:00'

fill() {
  image=$1
  mcopy -s -m -i "$image" tree/* ::
  # Holes to fill: every second small file goes, then one file takes what is free, in pieces.
  for i in $(seq 1 10); do yes "small$i" 2>/dev/null | head -c 6000 > "small$i"; mcopy -i "$image" "small$i" ::; done
  for i in 1 3 5 7 9; do mdel -i "$image" "::small$i"; done
  file pieces.bin 40000 '2015-05-05 05:05:04'
  mcopy -m -i "$image" pieces.bin ::
  mattrib -i "$image" +r ::README.TXT
}

mkfs.fat --invariant -C -F 12 -n FAT12DISK fat12.img 1440 > /dev/null
fill fat12.img
mkfs.fat --invariant -C -F 16 -s 1 -f 1 -r 256 -n 'SIXTEEN' fat16.img 3072 > /dev/null
fill fat16.img
mkfs.fat --invariant -C -F 32 -s 1 -R 40 -n NAME32 fat32.img 34816 > /dev/null
fill fat32.img
for image in fat12 fat16 fat32; do node -e '
  const { brotliCompressSync, constants } = require("node:zlib"), fs = require("node:fs");
  const bytes = fs.readFileSync(process.argv[1]);
  fs.writeFileSync(process.argv[2], brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_LGWIN]: 24 } }));
' "$image.img" "$here/$image.img.br"; done
