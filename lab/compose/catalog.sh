#!/bin/sh
# Makes the director's catalog once, with the package's script. Source: the package's placeholders are filled in by its configuration.
set -eu
[ -e /var/lib/bacula/bacula.db ] && exit 0
sed -e 's/${db_name:-XXX_DBNAME_XXX}/bacula/; s/XXX_DBNAME_XXX/bacula/g' /usr/share/bacula-director/make_sqlite3_tables | sh
