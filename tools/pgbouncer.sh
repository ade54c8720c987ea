#!/usr/bin/env bash
# Build a PgBouncer that follows prepared statements (1.21 and later; Debian 12 has 1.18) from Debian 13's source package.
# The machine's own apt tells where Debian is, and stays as it is. Tests find the program in either target folder.
set -euo pipefail

target="${XDG_CACHE_HOME:-$HOME/.cache}/onetrip-tests"
[ "$(id -u)" != 0 ] || target=/usr/local/lib/onetrip-tests # the servers run as nobody, who may not enter /root
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

mirror() { # the one that serves this machine's own release
    # shellcheck disable=SC2016 # apt replaces these; without release info: also before the first apt-get update
    apt-get indextargets --no-release-info --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk -v own="$(. /etc/os-release && echo "$VERSION_CODENAME")" '$1 == own || $1 == "stable" { print $2; exit }'
}

fetch() {
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg
    local apt=(apt-get -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State=$work/state" -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$work/cache"
        -o APT::Sandbox::User=root -o Acquire::Retries=3)
    mkdir -p "$work"/state/lists/partial "$work"/cache &&
        echo "deb-src [signed-by=$keys] $(mirror) trixie main" >"$work/sources.list" &&
        "${apt[@]}" update --error-on=any && cd "$work" && "${apt[@]}" source pgbouncer
}

build() {
    cd "$work"/pgbouncer-*/ && ./configure --without-cares --disable-debug && make -j2 pgbouncer &&
        ./pgbouncer --version | grep -E 'PgBouncer 1\.(2[1-9]|[3-9][0-9])' &&
        install -D -m 755 pgbouncer "$target/.pgbouncer.$$" && mv "$target/.pgbouncer.$$" "$target/pgbouncer"
}

if [ ! -x "$target/pgbouncer" ] && ! { (fetch) && (build); } >"$work/log" 2>&1; then
    tail -n 5 "$work/log"
    echo "PgBouncer 1.21 or later is not built, see above; on Debian it needs: apt-get install" \
        "gcc make pkg-config libevent-dev libssl-dev dpkg-dev"
    exit 1
fi
chmod a+rx "$target"
echo "$target/pgbouncer: $("$target/pgbouncer" --version | head -n 1)"
