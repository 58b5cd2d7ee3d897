# What ./run, ./test/run and bench/run share: packages, builds, progress. Sourced by bash.
# Wants $root (the clone). Builds are kept, so a second call takes seconds.

program_packages="clang-19 lld-19 llvm-19 libstdc++-12-dev meson ninja-build pkg-config libuv1-dev
  libsimdjson-dev libfmt-dev libre2-dev libsqlite3-dev libyaml-dev zlib1g-dev libc-ares-dev node-llhttp
  android-libboringssl-dev libssl-dev"
test_packages="doctest-dev python3-pytest python3-pytest-xdist python3-websockets docker.io
  docker-registry golang-go git ca-certificates curl
  libclang-rt-19-dev clang-tidy-19 clang-format-19 haproxy openssl bind9-dnsutils"

started_at=$SECONDS
step() { printf '==> [%3ds] %s\n' $((SECONDS - started_at)) "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# need_packages NAME...: installs what is missing, and says so. Asks dpkg alone when nothing is.
# $OS_RELEASE: for the tests.
need_packages() {
  local missing=() name system=unknown os_release=${OS_RELEASE:-/etc/os-release}
  # In a shell of its own: the file sets NAME, VERSION and more.
  [ -r "$os_release" ] && system=$(. "$os_release" && echo "$ID ${VERSION_ID:-}")
  if [ "${system%% *}" != debian ] || ! command -v dpkg-query >/dev/null; then
    fail "this is not Debian 12 but ${system% }, where sluice's packages cannot be installed. It needs:
  $(echo "$@")"
  fi
  local have
  have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
  for name in "$@"; do
    grep -qx "$name installed" <<<"$have" || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] && return 0
  if [ "$(id -u)" != 0 ]; then
    fail "packages are missing, and only root can install them. As root:
  apt-get install ${missing[*]}"
  fi
  step "installing ${#missing[@]} packages: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
        --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
    tail -20 "$log" >&2
    fail "apt-get could not install: ${missing[*]}"
  fi
  rm -f "$log"
}

# configure DIR OPTION...: a Meson build folder, with ccache where it is on PATH.
configure() {
  local dir=$root/$1
  shift
  # A fresh clone elsewhere finds the objects of the last one.
  export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
  if [ -f "$dir/build.ninja" ]; then
    # Only what changes costs anything.
    meson configure "$dir" "$@" >/dev/null || fail "cannot configure $dir"
    return 0
  fi
  mkdir -p "$dir"
  local natives=(--native-file "$root/native.ini")
  if command -v ccache >/dev/null; then
    printf "[binaries]\nc = ['ccache', 'clang-19']\ncpp = ['ccache', 'clang++-19']\n" \
      >"$dir/ccache.ini"
    natives+=(--native-file "$dir/ccache.ini")
  fi
  meson setup "${natives[@]}" "$@" "$dir" "$root" >"$dir/setup.log" 2>&1 || {
    tail -30 "$dir/setup.log" >&2
    fail "meson could not set up ${dir#"$root"/}"
  }
}

# build DIR TARGET...: ninja, with its own progress on a terminal and a line now and then elsewhere.
build() {
  local dir=$root/$1
  shift
  if [ -t 1 ]; then
    ninja -C "$dir" "$@" || fail "the build in ${dir#"$root"/} failed"
    return 0
  fi
  local log=$dir/ninja.log pid last=
  ninja -C "$dir" "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  # A background job of a script does not hear the terminal's Ctrl-C.
  trap 'kill "$pid" 2>/dev/null; exit 130' INT TERM
  local waited=0
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    waited=$((waited + 1))
    if [ $((waited % 75)) = 0 ]; then
      last=$(tail -c 400 "$log" | grep -o '^\[[0-9]*/[0-9]*\]' | tail -1 || true)
      [ -n "$last" ] && step "  $last"
    fi
  done
  if ! wait "$pid"; then
    tail -60 "$log" >&2
    fail "the build in ${dir#"$root"/} failed (all of it: ${log#"$root"/})"
  fi
  trap - INT TERM
}

release_options="--buildtype=release -Db_lto=true -Db_lto_mode=thin -Db_thinlto_cache=true"
