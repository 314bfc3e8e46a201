#!/bin/sh
# Makes the images of this folder with the kernel's btrfs: run as root, with the folder for the results as the parameter.
# An image is kept as those of its 4 KiB blocks that are not empty: their count, their numbers (32 bits each), the blocks; then Brotli.
set -eu
out=$(realpath "$1")
work=$(mktemp -d)
mnt=$work/mnt
mkdir "$mnt"
loops=
clean() { umount "$mnt" 2>/dev/null || true; for l in $loops; do btrfs device scan --forget "$l" 2>/dev/null || true; losetup -d "$l" || true; done; rm -rf "$work"; }
trap clean EXIT

attach() { # bytes, then names
  bytes=$1; shift; loops=
  for name in "$@"; do truncate -s "$bytes" "$work/$name"; loops="$loops $(losetup --find --show "$work/$name")"; done
}
detach() { umount "$mnt"; for l in $loops; do btrfs device scan --forget "$l"; losetup -d "$l"; done; loops=; }
mounted() { # options
  set -- "$1" $loops
  opts=$1; shift
  for l in "$@"; do opts="$opts,device=$l"; done
  mount -t btrfs -o "$opts" "$1" "$mnt"
}
pack() {
  for name in "$@"; do
    node -e '
      const { readFileSync, writeFileSync } = require("fs"), { brotliCompressSync, constants } = require("zlib");
      const bytes = readFileSync(process.argv[1]), empty = Buffer.alloc(4096), at = [];
      for (let i = 0; i < bytes.length; i += 4096) if (!bytes.subarray(i, i + 4096).equals(empty)) at.push(i / 4096);
      const head = Buffer.alloc(8 + 4 * at.length);
      head.writeUInt32LE(bytes.length / 4096, 0);
      head.writeUInt32LE(at.length, 4);
      at.forEach((n, i) => head.writeUInt32LE(n, 8 + 4 * i));
      const all = Buffer.concat([head, ...at.map((n) => bytes.subarray(n * 4096, n * 4096 + 4096))]);
      writeFileSync(process.argv[2], brotliCompressSync(all, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 } }));
    ' "$work/$name" "$out/$name.br"
  done
}
text() { seq 1 "$1"; }

# One device, 16 KiB nodes, crc32c: compression, holes, subvolumes, snapshots, odd names, attributes.
attach 128M single
mkfs.btrfs -q -f -L holdfast -n 16k -d single -m single $loops
mounted noatime
for kind in zlib lzo zstd; do
  mkdir "$mnt/$kind"
  btrfs property set "$mnt/$kind" compression $kind
  text 40000 > "$mnt/$kind/text"
  text 100 > "$mnt/$kind/inline"
  text 3000 > "$mnt/$kind/holes"
  truncate -s 500000 "$mnt/$kind/holes"
  printf end >> "$mnt/$kind/holes"
done
sync
for kind in zlib lzo zstd; do printf OVERWRITTEN | dd of="$mnt/$kind/text" bs=1 seek=70000 conv=notrunc status=none; done
printf small > "$mnt/small"
: > "$mnt/empty"
ln "$mnt/small" "$mnt/link"
ln -s small "$mnt/symlink"
mknod "$mnt/device" c 259 70000
mkfifo "$mnt/fifo"
printf x > "$mnt/$(printf 'no utf8 \377')"
setfattr -n user.one -v 1 "$mnt/small"
setfattr -n trusted.two -v 22 "$mnt/small"
setfacl -m u:1001:rw "$mnt/small"
touch -d '1901-12-31 23:59:59.123456789 UTC' "$mnt/small"
fallocate -l 200000 "$mnt/unwritten"
mkdir "$mnt/many"
for i in $(seq 1 900); do : > "$mnt/many/entry number $i"; done
btrfs subvolume create "$mnt/sub"
btrfs subvolume create "$mnt/sub/nested"
printf nested > "$mnt/sub/nested/file"
cp "$mnt/small" "$mnt/sub/file"
cp --reflink=always "$mnt/zstd/text" "$mnt/sub/shared"
chown 77:88 "$mnt/sub"
touch -d '2001-02-03 04:05:06 UTC' "$mnt/sub"
btrfs subvolume snapshot -r "$mnt/sub" "$mnt/snapshot"
printf changed > "$mnt/sub/file"
detach; pack single

# Data and metadata in the same chunks, 4 KiB nodes, xxhash64; another subvolume by default.
attach 32M mixed
mkfs.btrfs -q -f --mixed -n 4k --csum xxhash $loops
mounted noatime,max_inline=0
btrfs subvolume create "$mnt/shown"
text 200 > "$mnt/shown/file"
for i in $(seq 1 200); do : > "$mnt/shown/$i"; done
printf top > "$mnt/top"
btrfs subvolume set-default "$mnt/shown"
detach; pack mixed

# Two devices with the same, sha256.
attach 128M mirror-a mirror-b
mkfs.btrfs -q -f -n 4k --csum sha256 -d raid1 -m raid1 $loops
mounted noatime
text 5000 > "$mnt/file"
detach; pack mirror-a mirror-b

# Three devices with parity.
attach 128M parity-a parity-b parity-c
mkfs.btrfs -q -f -n 4k -d raid5 -m raid5 $loops 2>/dev/null
mounted noatime
text 50000 > "$mnt/file"
detach; pack parity-a parity-b parity-c

# A power cut: what was synced after the last commit is in the log. blake2b.
attach 128M log
mkfs.btrfs -q -f -n 4k --csum blake2 -d single -m single $loops
mounted noatime,commit=300
mkdir "$mnt/dir"
for name in removed renamed replaced kept; do printf old > "$mnt/dir/$name"; done
text 3000 > "$mnt/dir/appended"
text 3000 > "$mnt/dir/cut"
setfattr -n user.old -v 1 "$mnt/dir/kept"
btrfs filesystem sync "$mnt"
text 3000 > "$mnt/dir/new"
printf more >> "$mnt/dir/appended"
truncate -s 5000 "$mnt/dir/cut"
setfattr -x user.old "$mnt/dir/kept"
setfattr -n user.new -v 2 "$mnt/dir/kept"
rm "$mnt/dir/removed"
mv "$mnt/dir/renamed" "$mnt/dir/other name"
printf new > "$mnt/dir/replacement"
mv "$mnt/dir/replacement" "$mnt/dir/replaced"
ln "$mnt/dir/kept" "$mnt/dir/second name"
mkdir "$mnt/dir/below"
for target in new appended cut kept "other name" replaced below .; do sync "$mnt/dir/$target"; done
cp --sparse=always "$work/log" "$work/log-cut"
detach; mv "$work/log-cut" "$work/log"; pack log
