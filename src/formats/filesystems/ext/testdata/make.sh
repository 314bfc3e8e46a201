#!/bin/sh
# Makes the images of this folder with mke2fs and the kernel's ext4, and what the kernel then says is in them. Needs root, attr, acl, xfsprogs, brotli
# (or Node.js, as below). Usage: make.sh DIRECTORY; the files NAME.img.br and NAME.txt.br are written to it.
set -eu
out=$(cd "$1" && pwd)
work=$(mktemp -d)
mount=$work/mount
mkdir "$mount"
trap 'umount "$mount" 2>/dev/null || true; rm -rf "$work"' EXIT

fill() {
  cd "$mount"
  printf 'hello\n' > hello.txt
  : > empty
  mkdir -p a/b/c/d
  seq 1 30 > a/b/c/d/thirty
  seq 1 6000 > a/numbers
  ln a/numbers a/b/same
  ln -s "$(printf '%059d' 0)" link59
  ln -s "$(printf '%060d' 0)" link60
  ln -s "$(printf '%0300d' 0)" link300
  mkfifo fifo
  mknod chr c 1 3
  mknod blk b 259 70000
  printf start > sparse
  printf far | dd of=sparse bs=1 seek=300000 conv=notrunc status=none
  printf farther | dd of=sparse bs=1 seek=9000000 conv=notrunc status=none
  [ "${huge:-}" = "" ] || printf farthest | dd of=sparse bs=1 seek="$huge" conv=notrunc status=none
  truncate -s +5000 sparse
  for i in 1 2 3 4 5 6 7 8 9; do
    for side in left right; do
      seq $((i * 1000)) $((i * 1000 + 300)) >> $side
      sync -d $side
    done
  done
  seq 1 4000 > hole
  fallocate -p -o 4096 -l 8192 hole 2> /dev/null || true
  fallocate -l 40000 unwritten 2> /dev/null || true
  chmod 6751 hello.txt
  chown 4000000000:70000 a/numbers
  touch -d @-86400.25 a/b
  touch -d @15032385000.123456789 a/b/c
  touch -d @4102444800 left
  touch "$(printf 'not \377 utf\200 8')" "$(printf '%0255d' 0)" 'naïve 日本'
  setfattr -n user.small -v value hello.txt
  setfattr -n user.large -v "$(printf '%0600d' 0)" hello.txt
  [ "${value:-}" = "" ] || setfattr -n user.huge -v "$(printf "%0${value}d" 0)" hello.txt
  setfattr -n trusted.t -v 0x00ff a
  setfattr -n security.s -v label link60 -h
  setfacl -m u:1001:rw,g:1002:r,m::rwx left
  setfacl -d -m u:1001:rwx,g:5000:rx a/b/c
  mkdir many
  for i in $(seq 1 "${many:-300}"); do : > "many/entry number $i"; done
  for i in $(seq 1 7 "${many:-300}"); do rm "many/entry number $i"; done
  cd "$work"
}

# One line for each path, ended by NUL: type, mode, uid, gid, time, links, inode, size, target, path; then one for each file: SHA-256 and path.
tell() {
  cd "$mount"
  find . ! -path './lost+found' -printf '%y\t%m\t%U\t%G\t%T@\t%n\t%i\t%s\t%l\t%P\0' > "$work/tell"
  find . -type f -print0 | sort -z | xargs -0 sha256sum -z >> "$work/tell"
  cd "$work"
}

save() {
  for file in "$1.img" "$1.txt"; do
    node -e 'const z = require("zlib"), fs = require("fs"); fs.writeFileSync(process.argv[2], z.brotliCompressSync(fs.readFileSync(process.argv[1]), { params: { [z.constants.BROTLI_PARAM_QUALITY]: 11, [z.constants.BROTLI_PARAM_LGWIN]: 24 } }))' "$work/$file" "$out/$file.br"
  done
}

make() {
  name=$1; size=$2; shift 2
  truncate -s "$size" "$work/$name.img"
  mke2fs -q -F -U 6f6c6466-6173-4174-8565-787466696c65 -E hash_seed=01234567-89ab-cdef-0123-456789abcdef "$@" "$work/$name.img"
  mount -t ext4 -o "loop,$options" "$work/$name.img" "$mount"
  fill
  umount "$mount"
  mount -t ext4 -o loop,ro "$work/$name.img" "$mount"
  tell
  umount "$mount"
  mv "$work/tell" "$work/$name.txt"
  save "$name"
}

options=relatime
huge=70000000 make ext2-1k 10M -t ext2 -b 1024 -I 128 -N 600
make ext3-2k 8M -t ext3 -b 2048 -I 256 -N 600 -J size=2 -O ^dir_index
value=9000 make ext4-4k 16M -t ext4 -b 4096 -N 600 -J size=4 -O 64bit,metadata_csum,ea_inode
many=1500 make ext4-1k 12M -t ext4 -b 1024 -N 2000 -O 64bit,metadata_csum,^has_journal,meta_bg,^resize_inode
make ext4-inline 6M -t ext4 -b 1024 -C 4096 -N 600 -O inline_data,bigalloc,^has_journal,^64bit,^metadata_csum,uninit_bg

# A power cut: what is in "second" is in the journal, or nowhere.
name=ext4-cut
truncate -s 8M "$work/$name.img"
mke2fs -q -F -t ext4 -b 1024 -N 600 -J size=2 -O 64bit,metadata_csum "$work/$name.img"
mount -t ext4 -o loop,data=journal "$work/$name.img" "$mount"
mkdir "$mount/first" "$mount/second"
for i in $(seq 1 40); do echo "$i" > "$mount/first/file $i"; done
sync -f "$mount"
for i in $(seq 1 40); do echo "$i" > "$mount/second/file $i"; done
for i in $(seq 1 30); do rm "$mount/first/file $i"; done
# A block of data that begins as the journal's own blocks do, which the journal must escape.
printf '\300\073\071\230 looks like a block of the journal' > "$mount/second/magic"
sync "$mount/second/magic"
xfs_io -x -c 'shutdown -f' "$mount"
# Before the kernel writes the rest of what it has in memory.
cp "$work/$name.img" "$work/replayed.img"
umount "$mount"
cp "$work/replayed.img" "$work/$name.img"
mount -t ext4 -o loop "$work/replayed.img" "$mount"
umount "$mount"
mount -t ext4 -o loop,ro "$work/replayed.img" "$mount"
tell
umount "$mount"
mv "$work/tell" "$work/$name.txt"
save "$name"

# Encrypted names, content and targets, with a key that is well known.
name=ext4-encrypted
truncate -s 2M "$work/$name.img"
mke2fs -q -F -t ext4 -b 4096 -N 100 -O encrypt,metadata_csum,^has_journal "$work/$name.img"
mount -t ext4 -o loop "$work/$name.img" "$mount"
echo plain > "$mount/plain"
umount "$mount"
mount -t ext4 -o loop,test_dummy_encryption "$work/$name.img" "$mount"
mkdir "$mount/secret"
echo secret > "$mount/secret/file"
ln -s target "$mount/secret/link"
umount "$mount"
: > "$work/$name.txt"
save "$name"

# Fast commits: what happened after the last sync of everything is in them alone. The image is copied while it is mounted; then the kernel replays
# the copy ("kernel"), or, where it does that wrongly or not at all, what was there when the copy was made is told ("live").
fast() {
  name=$1; who=$2; shift 2
  truncate -s 6M "$work/$name.img"
  mke2fs -q -F -t ext4 -N 200 -J size=2 -O 64bit,metadata_csum,fast_commit -b 1024 "$@" "$work/$name.img"
  mount -t ext4 -o loop "$work/$name.img" "$mount"
  "$(echo "$name" | tr - _)"
  cp "$work/$name.img" "$work/copy.img"
  cp "$work/copy.img" "$work/replayed.img"
  [ "$who" = kernel ] || tell
  exec 5>&-
  umount "$mount"
  if [ "$who" = kernel ]; then
    mount -t ext4 -o loop "$work/replayed.img" "$mount"
    tell
    umount "$mount"
  fi
  mv "$work/copy.img" "$work/$name.img"
  mv "$work/tell" "$work/$name.txt"
  save "$name"
}

ext4_fast() {
  mkdir "$mount/old"
  seq 1 3000 > "$mount/old/numbers"
  for file in gone target moved cut hole; do seq 1 2000 > "$mount/old/$file"; done
  sync -f "$mount"
  mkdir -p "$mount/new/folder"
  echo first > "$mount/new/folder/file"
  seq 1 500 >> "$mount/old/numbers"
  mv "$mount/old/moved" "$mount/old/target"
  rm "$mount/old/gone"
  sync "$mount/new/folder/file"
  ln "$mount/new/folder/file" "$mount/old/same"
  truncate -s 1500 "$mount/old/cut"
  fallocate -p -o 1024 -l 4096 "$mount/old/hole"
  fallocate -l 20000 "$mount/new/unwritten"
  printf far | dd of="$mount/new/sparse" bs=1 seek=700000 conv=notrunc status=none
  chmod 4711 "$mount/old/numbers"
  touch -d @15032385000.123456789 "$mount/old/numbers"
  for file in cut hole numbers; do sync "$mount/old/$file"; done
  for file in unwritten sparse; do sync "$mount/new/$file"; done
  mv "$mount/new/folder/file" "$mount/new/moved again"
  sync "$mount/new/moved again"
}

# A file that lost its name while it was open, a directory and a file with the numbers of others that were removed, the latter with attributes.
ext4_fast_live() {
  mkdir "$mount/old"
  seq 1 100 > "$mount/open"
  seq 1 100 > "$mount/secret"
  setfattr -n user.secret -v secret "$mount/secret"
  sync -f "$mount"
  exec 5<> "$mount/open"
  rm "$mount/open" "$mount/secret"
  rmdir "$mount/old"
  mkdir "$mount/new"
  echo inside > "$mount/new/file"
  echo public > "$mount/public"
  sync "$mount/new/file"
  sync "$mount/public"
}

fast ext4-fast kernel
fast ext4-fast-live live
