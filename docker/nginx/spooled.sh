#!/bin/sh
# Becomes nginx, and keeps beside it what nginx does not: a bound on its file in the log spool, as every process of ours
# keeps it (shared/logs/spool.py). spooled FILE.jsonl COMMAND…
set -u

file=$1
shift
most=${SPOOLED_BYTES:-67108864}
seconds=${SPOOLED_SECONDS:-2}
folder=$(dirname "$file")/.shipping

# A full file takes the place of the last one. Where a shipper works, that one is held for it first.
move_away() {
    if [ -d "$folder/held" ]; then
        ln "$file" "$folder/held/$(basename "$file" .jsonl).$(stat -c %i "$file").jsonl"
        keep_bound
    fi
    mv "$file" "${file%.jsonl}.1.jsonl"
}

# While no shipper runs, held files take twice its bound at most: the oldest goes, its lines are noted for the shipper. The
# birth is none that it knows, so it counts all of them: rather too many than too few.
keep_bound() {
    bound=$(cat "$folder/bound" 2>/dev/null) || return 0
    ls -tr "$folder/held" | while read -r oldest && [ "$(held_bytes)" -gt $((2 * bound)) ]; do
        printf '{"birth":"%s","lines":%d,"bytes":%d}\n' \
            "$oldest" "$(wc -l <"$folder/held/$oldest")" "$(stat -c %s "$folder/held/$oldest")" >>"$folder/given-up.jsonl"
        rm -f "$folder/held/$oldest"
    done
}

held_bytes() {
    stat -c %s "$folder"/held/*.jsonl 2>/dev/null | awk '{ sum += $1 } END { printf "%.0f", sum }'
}

# $$ is who started this, and so nginx.
keep() {
    while sleep "$seconds" && kill -0 $$ 2>/dev/null; do
        if [ -n "$(find "$file" -size +"$most"c 2>/dev/null)" ]; then
            move_away
        fi
    done
}

keep &
exec "$@"
