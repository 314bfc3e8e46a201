#!/bin/sh
# Makes the hive of this folder with hivexregedit (Debian: libhivex-bin, libwin-hivex-perl), from an empty one of this folder's own writer: there is no free
# tool that makes one from nothing. Needs brotli and a build. Usage: make.sh; writes made.hive.br.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
node --input-type=module -e "
import { writeFileSync } from 'node:fs';
import { hiveBytes } from '$PWD/../../../../dist/src/formats/registry/testing/hive-writer.js';
writeFileSync('$work/made.hive', hiveBytes({}));"
hivexregedit --merge "$work/made.hive" made.reg
brotli -f -q 11 -o made.hive.br "$work/made.hive"
