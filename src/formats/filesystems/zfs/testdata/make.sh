#!/bin/sh
# make.sh OUTPUT: makes the pools of this folder. Needs root, OpenZFS 2.1 or newer, setfattr, setfacl; the key of the encrypted dataset is fixture-passphrase.
# The lab's guest (lab/filesystems/zfs-kit.ts) has such a kernel. Afterwards: brotli -q 10 --lgwin=24 on each file.
set -e
out=$1
pools=$(mktemp -d /mnt/fixture-XXXXXX)
mount=$pools/mount

make() { # name members zpool-parameters…
  name=$1 members=$2
  shift 2
  files=
  for i in $(seq "$members"); do
    truncate -s 64M "$pools/$name-$i"
    files="$files $pools/$name-$i"
  done
  zpool create -f -o cachefile=none -o ashift=9 -O atime=off -m "$mount" "$@" $files
}

finish() { # name
  zpool export "$1"
  for file in "$pools/$1"-*; do cp --sparse=always "$file" "$out/"; done
}

fill() { # directory
  seq 12000 > "$1/text"
  printf 'a few bytes' > "$1/short"
  printf end | dd of="$1/sparse" bs=1 seek=1000000 status=none
  ln "$1/short" "$1/second name"
  ln -s short "$1/link"
  ln -s "$(printf '%0300d' 0)" "$1/long link"
  mkfifo "$1/fifo"
  mknod "$1/device" b 259 70000
  mkdir "$1/many"
  (cd "$1/many" && seq -f 'an entry with a name that is longer than a small table takes %04.0f' 250 | xargs -d '\n' touch)
  printf 'bytes' > "$(printf "$1/\\377 \\001")"
  chown 4000000000:77 "$1/short"
  chmod 6751 "$1/short"
  touch -d '1969-12-31 23:59:58.123456789Z' "$1/link-time"
  setfattr -n user.one -v 1 "$1/short"
  setfattr -n user.large -v "$(printf '%04000d' 7)" "$1/text"
  touch -d '2021-03-04 05:06:07.000000089Z' "$1/text"
}

# One device, attributes in the inodes, large inodes; children with other codecs, a snapshot, a clone, a volume, an encrypted dataset.
make plain 1 -O compression=lz4 -O xattr=sa -O acltype=posix -O dnodesize=auto plain
fill "$mount"
setfacl -m u:1234:rwx,d:g:55:r "$mount/many"
zfs create -o compression=gzip-9 -o recordsize=4k plain/gzip
seq 4000 > "$mount/gzip/text"
zfs snapshot plain/gzip@before
echo changed > "$mount/gzip/text"
zfs clone plain/gzip@before plain/clone
zfs create -o compression=zstd plain/zstd
seq 4000 > "$mount/zstd/text"
zfs create -s -V 8M plain/volume
sleep 2
printf fixture-passphrase | zfs create -o encryption=aes-256-gcm -o keyformat=passphrase -o pbkdf2iters=100000 plain/sealed
seq 4000 > "$mount/sealed/text"
setfattr -n user.secret -v value "$mount/sealed/text"
zfs create plain/sealed/below
echo below > "$mount/sealed/below/file"
finish plain

# The old form: inodes without layouts, LZJB, Fletcher-2, attributes as files.
make old 1 -o version=28 -O version=4 -O compression=lzjb -O checksum=fletcher2 -O xattr=on old
fill "$mount"
finish old

# Parity, and a keyed checksum.
make parity 3 -O compression=zle -O checksum=skein -O xattr=on parity raidz1
fill "$mount"
finish parity

# A pool as a crash leaves it: the last changes are only in the intent log.
make crash 1 -O compression=lz4 -O xattr=on crash
seq 4000 > "$mount/old"
seq 4000 > "$mount/cut"
printf 'to be removed' > "$mount/doomed"
mkdir "$mount/from"
printf moved > "$mount/from/moved"
echo 3600 > /sys/module/zfs/parameters/zfs_txg_timeout
zpool sync crash
# The first commit of a log waits for a transaction group; from the second on, changes stay in the log.
: > "$mount/first"
sync -f "$mount"
printf 'only in the log' > "$mount/new"
mkdir "$mount/made"
seq 40000 > "$mount/made/large"
ln -s new "$mount/made/link"
ln "$mount/old" "$mount/made/old too"
mv "$mount/from/moved" "$mount/made/renamed"
rmdir "$mount/from"
rm "$mount/doomed"
printf 'end' >> "$mount/old"
truncate -s 1000 "$mount/cut"
truncate -s 3000 "$mount/cut"
chmod 4711 "$mount/new"
chown 12:34 "$mount/new"
touch -d '2001-02-03 04:05:06.789Z' "$mount/new"
setfattr -n user.late -v value "$mount/new"
sync -f "$mount"
cp --sparse=always "$pools/crash-1" "$out/"
echo 5 > /sys/module/zfs/parameters/zfs_txg_timeout
zpool export crash
rm -r "$pools"
