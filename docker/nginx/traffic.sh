#!/bin/sh
# Which edges nginx passes requests to. In compose: docker compose exec nginx traffic show
set -eu

folder=${TRAFFIC_FOLDER:-/var/lib/traffic}
file=$folder/traffic.conf
lock=$folder/lock
seconds=${TRAFFIC_SECONDS:-2}
nginx=${TRAFFIC_NGINX:-nginx}
probe=${TRAFFIC_PROBE:-wget -q -T 5 -O /dev/null}
look=${TRAFFIC_PROBE:-wget -q -T 1 -O /dev/null}
names=${TRAFFIC_NAMES:-nslookup -type=a}
blue=${TRAFFIC_BLUE:-edge:8000}
green=${TRAFFIC_GREEN:-edge-green:8000}
spooled=${TRAFFIC_SPOOLED:-spooled}
spool=${KIRANA_LOG_SPOOL-/var/spool/kirana}
environment=${KIRANA_ENVIRONMENT:-local}

usage() {
    cat <<'USAGE'
traffic SHARE   pass requests on to the blue edges, the green ones, or to both by share, without losing one

  traffic show    which it is now
  traffic 10      one request in ten to green, the others to blue
  traffic green   all to green
  traffic blue    all to blue: the way back
  traffic serve   start nginx; at first all goes to blue, later whatever was chosen last

Edges that shall get more are asked first whether they are ready. A configuration that nginx does not take changes nothing.
An edge that is in maintenance or about to leave gets no new requests while another one of its colour takes them.
USAGE
}

fail() {
    echo "traffic: $1" >&2
    exit 1
}

# addresses HOST: all that it leads to; nothing if that is not known just now. With its dot nobody searches for it elsewhere.
addresses() {
    case $1 in
        [0-9]*) echo "$1" ;;
        *) $names "$1." 2>/dev/null | awk '/^Name:/ { told = 1 } told && /^Address/ { print $NF }' | sort -u ;;
    esac
}

# word HOST:PORT: whether it wants requests, as it says itself: "takes", "leaves", or nothing.
word() {
    if said=$($look "http://$1/health/serving" 2>&1); then
        echo takes
        return
    fi
    case $said in
        *" 503 "* | *" 503:"*) echo leaves ;;
    esac
}

# taking "HOST:PORT HOST:PORT …": the addresses of those who take requests. Who says nothing keeps its place, or stays
# without one. If nobody is left, those who say nothing, or else all: they still answer. Fails where a name leads nowhere.
taking() {
    take=
    silent=
    all=
    for server in $1; do
        found=$(addresses "${server%:*}")
        if [ -z "$found" ]; then return 1; fi
        for address in $found; do
            one=$address:${server##*:}
            all="$all $one"
            case $(word "$one") in
                takes) take="$take $one" ;;
                leaves) ;;
                *)
                    silent="$silent $one"
                    if grep -qF "server $one " "$file" 2>/dev/null; then take="$take $one"; fi
                    ;;
            esac
        done
    done
    echo "${take:-${silent:-$all}}"
}

# upstream NAME "HOST:PORT HOST:PORT …": by addresses, for nginx drops requests while it looks for a name after a reload.
# The name stands there only until it has first led anywhere.
upstream() {
    printf 'upstream %s {\n    zone %s 128k;\n    least_conn;\n' "$1" "$1"
    for server in $(taking "$2" || echo "$2"); do
        case $server in
            [0-9]*) printf '    server %s max_fails=3 fail_timeout=5s;\n' "$server" ;;
            *) printf '    server %s resolve max_fails=3 fail_timeout=5s;\n' "$server" ;;
        esac
    done
    printf '    keepalive 64;\n    keepalive_timeout 20s;\n}\n'  # the edges keep one for 30 s
}

# shared PERCENT: both colours are named only where both get requests, as a name that leads nowhere stops nginx.
shared() {
    printf '# %s %% green. Written by traffic; do not edit.\n' "$1"
    if [ "$1" -lt 100 ]; then upstream blue "$blue"; fi
    if [ "$1" -gt 0 ]; then upstream green "$green"; fi
    printf 'split_clients "$request_id" $colour {\n'
    case $1 in
        0) printf '    * blue;\n' ;;
        100) printf '    * green;\n' ;;
        *) printf '    %s%% green;\n    * blue;\n' "$1" ;;
    esac
    printf '}\n'
}

write() {
    shared "$1" >"$file.draft"
    mv "$file.draft" "$file"
}

# reload: nginx looks at what is there and takes it; what was there before is not needed any more then.
reload() {
    said=$({ $nginx -t && $nginx -s reload; } 2>&1) && rm "$file.before"
}

# put DRAFT: in the place of what is there, which comes back if nginx does not take the draft. Until that is known it is
# kept whole beside it: so whoever comes after one that was killed here knows that something is left to be done.
put() {
    said="it cannot be written"
    cp "$file" "$file.copy" && mv "$file.copy" "$file.before" && mv "$1" "$file" || return 1
    reload && return
    mv "$file.before" "$file"
    return 1
}

# settle: what one that was killed began to put. Nobody knows what nginx has, so it is told again: that, or what was there
# before. If it takes neither, the next one settles it.
settle() {
    if ! [ -f "$file.before" ] || reload; then return 0; fi
    cp "$file.before" "$file.copy" && mv "$file.copy" "$file" && reload
}

complain() {
    echo "traffic: nginx does not take this: $said" >&2
}

# follow: write anew what is chosen, if an edge left or came since. Nothing is done where nothing changes, or where a name
# leads nowhere just now: whoever is named already is better than nobody.
follow() {
    settle || { complain; return; }
    shared "$(now)" >"$file.seen"
    if cmp -s "$file" "$file.seen" || grep -q ' resolve ' "$file.seen"; then return; fi
    put "$file.seen" || complain
}

# One at a time: somebody may choose while this looks. $$ is who started it, and so nginx.
attend() {
    while sleep "$seconds" && kill -0 $$ 2>/dev/null; do
        (flock 9 && follow) 9>"$lock" || true
    done
}

# place: nginx reads no environment. An empty spool means that no lines are wanted there.
place() {
    case $spool$environment in
        *[!A-Za-z0-9._/-]*) fail "KIRANA_LOG_SPOOL and KIRANA_ENVIRONMENT may have letters, digits and . _ - / only" ;;
    esac
    printf 'map "" $spool {\n    default "%s";\n}\nmap "" $environment {\n    default "%s";\n}\n' \
        "$spool" "$environment" >"$folder/place.conf"
}

now() {
    [ -f "$file" ] || fail "nothing is chosen yet. Next: traffic serve"
    sed -n '1s/^# \([0-9]*\) .*/\1/p' "$file"
}

ready() {
    for server in $2; do
        $probe "http://$server/health/ready" >/dev/null 2>&1 \
            || fail "$1 is not ready at $server, nothing was changed. Look at its log; try again when it is healthy."
    done
}

shift_to() {
    exec 9>"$lock"
    flock 9
    settle || fail "nginx takes no configuration now, nothing was changed: $said"
    before=$(now)
    if [ "$1" -gt "$before" ]; then ready green "$green"; fi
    if [ "$1" -lt "$before" ]; then ready blue "$blue"; fi
    shared "$1" >"$file.draft"
    put "$file.draft" || fail "nginx does not take this, all is as before: $said"
    echo "$1 % of the requests go to green, the others to blue. Back: traffic $before"
}

serve() {
    export TZ=UTC  # the moments in the spool
    umask 027
    place
    chosen=0
    if [ -f "$file" ]; then chosen=$(now); fi
    write "${chosen:-0}"  # anew: edges that were named by their addresses may have others by now
    if ! $nginx -t 2>/dev/null; then
        echo "traffic: what was chosen last cannot be served now; all goes to blue." >&2
        write 0
    fi
    rm -f "$file.before"  # nginx begins with what is there now
    attend &
    if [ -z "$spool" ]; then exec $nginx -g 'daemon off;'; fi
    exec $spooled "$spool/nginx.jsonl" $nginx -g 'daemon off;'
}

case ${1:-help} in
    serve) serve ;;
    show)
        share=$(now)
        echo "$share % of the requests go to green, the others to blue."
        ;;
    blue) shift_to 0 ;;
    green) shift_to 100 ;;
    [0-9] | [0-9][0-9] | 100) shift_to "$1" ;;
    help | -h | --help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
