#!/bin/bash
# Makes one image for the tests: `make.sh v5|v4|dirty|dirty-v4 FILE`, as root. Version 4 needs a kernel that mounts it (Debian 12's does).
# The packed file is `brotli -q 11 -w 24 FILE`.
set -euo pipefail
kind=$1 image=$2
# mkfs.xfs makes small filesystems only for its own tests.
export TEST_DIR=/nowhere TEST_DEV=/nowhere QA_CHECK_FS=1
mount=$(mktemp -d)

names() { # folder, count, length: names that are numbers, padded
  local i
  mkdir "$mount/$1"
  for ((i = 0; i < $2; i += 1)); do : > "$mount/$1/$(printf "%0$3d" "$i")"; done
}

pattern() { { yes "pattern of $1" 2> /dev/null || :; } | head -c "$1"; }

fill() {
  cd "$mount"
  printf 'hello\n' > hello.txt
  names short 3 5; names block 20 9; names leaf 110 30; names node 700 60
  ln hello.txt hard
  ln -s hello.txt soft
  ln -s "$(pattern 999 | tr '\n ' '//')" 'long soft'
  mkfifo fifo; mknod null c 1 3; mknod disk b 8 17
  : > attributes
  setfattr -n user.short -v value attributes
  setfattr -n trusted.t -v t attributes
  setfattr -n security.s -v s attributes
  : > 'remote attribute'
  setfattr -n user.large -v "$(pattern 15000)" 'remote attribute'
  : > 'many attributes'
  for ((i = 0; i < 90; i += 1)); do setfattr -n "user.attribute-$i" -v "$(pattern $((i * 2 + 20)))" 'many attributes'; done
  : > acl
  setfacl -m u:1001:rw,g:5000:r acl
  mkdir 'acl folder'
  setfacl -d -m u:1001:rwx 'acl folder'
  pattern 300000 > content
  truncate -s 9000001 holes
  printf 'at four million' | dd of=holes bs=1 seek=4000000 conv=notrunc status=none
  fallocate -l 100000 unwritten
  printf 'written' | dd of=unwritten bs=1 seek=50000 conv=notrunc status=none
  for ((i = 0; i < 300; i += 1)); do printf 'piece %d' "$i" | dd of=pieces bs=1 seek=$((i * 2048)) conv=notrunc status=none; done
  chmod 6755 hello.txt; chown 4000000000:70000 content
  touch -d '1955-11-05 06:15:00.123456789 UTC' short
  touch -d '2037-12-31 23:59:59.5 UTC' block
  cd /
}

case $kind in
  v5)
    truncate -s 32M "$image"
    mkfs.xfs -q -f -L fixture -b size=1024 -d agcount=2 -i size=512 -m reflink=1,rmapbt=0,bigtime=1,uuid=6f1d1a52-8a0b-4d8f-9d6e-0f5f5a5e0001 "$image"
    mount -t xfs -o loop "$image" "$mount"
    fill
    cp --reflink=always "$mount/content" "$mount/shared"
    touch -d '2300-01-01 00:00:00.000000001 UTC' "$mount/leaf"
    umount "$mount"
    ;;
  v4)
    truncate -s 32M "$image"
    mkfs.xfs -q -f -L fixture -m crc=0 -b size=512 -d agcount=2 -i size=256 -n ftype=0 "$image"
    mount -t xfs -o loop "$image" "$mount"
    fill
    umount "$mount"
    ;;
  dirty | dirty-v4)
    truncate -s 20M "$image"
    if [[ $kind == dirty ]]; then mkfs.xfs -q -f -d agcount=1 -m reflink=1 "$image"
    # Two inodes of 256 bytes share a basic block.
    else mkfs.xfs -q -f -d agcount=1 -m crc=0 -b size=512 -i size=256 -n ftype=0 -l size=3m "$image"; fi
    mount -t xfs -o loop "$image" "$mount"
    printf 'first' > "$mount/first"; names gone 30 20
    umount "$mount"; mount -t xfs -o loop "$image" "$mount"
    rm -r "$mount/gone"
    names only-in-the-log 100 30
    pattern 50000 > "$mount/content"
    setfattr -n user.late -v late "$mount/first"
    mv "$mount/first" "$mount/renamed"
    ln -s "$(pattern 500 | tr '\n ' '//')" "$mount/long soft"
    sync "$mount/content"
    xfs_io -x -c 'shutdown -f' "$mount"
    umount "$mount"
    ;;
esac
rmdir "$mount"
