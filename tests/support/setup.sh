# What must a machine have, and how is it built?  Sourced by `box`.

RUST_MIN=1.95
GO_MIN=1.26
PACKAGES_RUN=(ca-certificates cmake espeak-ng g++ gcc libsystemd-dev make pkg-config python3 redis-server util-linux)
PACKAGES_TEST=("${PACKAGES_RUN[@]}" baresip-core chromium dnsmasq-base git iproute2 kamailio nftables nmap openssh-client openssl python3-venv sip-tester sox)

setup_run() {
    need_packages "${PACKAGES_RUN[@]}"
    need_rust
    need_go
    build_bundle
    build_programs
}

setup_test() {
    need_packages "${PACKAGES_TEST[@]}"
    need_rust
    need_go
    build_bundle
    build_programs
    build_venv
    build_modules
}

# Installs what is missing when it may, else prints the one line that does.
need_packages() {
    command -v dpkg-query >/dev/null || refuse "this needs Debian 12 or 13, or these packages' programs by another way: $*"
    local name missing=()
    for name in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        refuse "Debian packages are missing. Run:
sudo apt-get install -y --no-install-recommends ${missing[*]}"
    fi
    step "Debian packages: ${missing[*]}" install_packages "${missing[@]}" || refuse "could not install ${missing[*]}"
}

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q && apt-get install -y -q --no-install-recommends "$@"
}

# at_least WANTED FOUND
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

need_rust() {
    local found
    found=$(rustc --version 2>/dev/null | cut -d' ' -f2) || true
    if [ -z "$found" ] || ! at_least "$RUST_MIN" "$found" || ! command -v cargo >/dev/null; then
        refuse "Rust $RUST_MIN or newer is needed, found: ${found:-none}. Run:
curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain $RUST_MIN.0 && . \"\$HOME/.cargo/env\""
    fi
}

need_go() {
    local found
    found=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//') || true
    if [ -z "$found" ] || ! at_least "$GO_MIN" "$found"; then
        refuse "Go $GO_MIN or newer is needed, found: ${found:-none}. Run:
curl -fsSL https://go.dev/dl/go$GO_MIN.0.linux-$(dpkg --print-architecture).tar.gz | sudo tar -C /usr/local -xz && export PATH=/usr/local/go/bin:\$PATH"
    fi
}

build_programs() {
    step "building the daemons (cargo)" cargo build --locked --bins || refuse "the daemons do not build"
}

# --- third-party servers -------------------------------------------------------------------

bundle_path() { echo "$BOX_CACHE/bin/$2-$(hash_of "image/bundle/$1/go.mod" "image/bundle/$1/go.sum")"; }

# Sets LIVEKIT_SERVER_BIN and MINIO_BIN, building what the cache lacks.
build_bundle() {
    LIVEKIT_SERVER_BIN=$(bundle_path livekit livekit-server)
    MINIO_BIN=$(bundle_path minio minio)
    export LIVEKIT_SERVER_BIN MINIO_BIN
    mkdir -p "$BOX_CACHE/bin"
    build_go livekit "$LIVEKIT_SERVER_BIN" && ln -sfn "$(basename "$LIVEKIT_SERVER_BIN")" "$BOX_CACHE/bin/livekit-server"
    build_go minio "$MINIO_BIN" && ln -sfn "$(basename "$MINIO_BIN")" "$BOX_CACHE/bin/minio"
}

# build_go MODULE TARGET
build_go() {
    [ ! -x "$2" ] || return 0
    step "building $(basename "$2") (go)" go_build "$1" "$2.$$" || refuse "image/bundle/$1 does not build"
    mv "$2.$$" "$2"
}

# The same bytes wherever and whenever it is built with one Go version.
go_build() {
    local package
    package=$(sed -n 's/^tool //p' "image/bundle/$1/go.mod")
    env -C "image/bundle/$1" GOTOOLCHAIN=local GOFLAGS= GOEXPERIMENT= GOAMD64=v1 GOARM64=v8.0 CGO_ENABLED=0 GOWORK=off \
        go build -trimpath -mod=readonly -buildvcs=false -ldflags '-s -w -buildid=' -o "$2" "$package"
}

# The line of image/bundle/MODULE/SHA256 for this Go and this machine, if there is one.
recorded_hash() {
    awk -v go="$(GOTOOLCHAIN=local go env GOVERSION)" -v arch="$(go env GOOS)/$(go env GOARCH)" \
        '$2 == go && $3 == arch { print $1 }' "image/bundle/$1/SHA256"
}

# Compares the cached binary of MODULE with the recorded hash; silent success when none is recorded for this Go.
check_hash() {
    local want found
    want=$(recorded_hash "$1")
    found=$(sha256sum <"$2" | cut -d' ' -f1)
    if [ -z "$want" ]; then
        say "   $1: $found ($(go env GOVERSION) $(go env GOOS)/$(go env GOARCH)); no hash recorded for this Go"
    elif [ "$want" != "$found" ]; then
        say "   $1: built $found, recorded $want"
        return 1
    else
        say "   $1: $found, as recorded"
    fi
}

check_bundle() {
    check_hash livekit "$LIVEKIT_SERVER_BIN" && check_hash minio "$MINIO_BIN"
}

# Builds both once more, with a Go cache of its own, and compares the bytes.
verify_bundle() {
    local again=$BOX_CACHE/verify
    rm -rf "$again" && mkdir -p "$again"
    GOCACHE="$again/go" step "building livekit-server again, from nothing" go_build livekit "$again/livekit-server" || exit 1
    GOCACHE="$again/go" step "building minio again, from nothing" go_build minio "$again/minio" || exit 1
    cmp "$again/livekit-server" "$LIVEKIT_SERVER_BIN" && cmp "$again/minio" "$MINIO_BIN" || exit 1
    rm -rf "$again"
    say "identical: livekit-server and minio"
    check_bundle
}

# --- Python, npm and cargo tools of the tests ----------------------------------------------------

build_venv() {
    VENV=$BOX_CACHE/venv-$(cat tests/requirements.txt <(python3 --version) | sha256sum | cut -c1-12)
    [ ! -e "$VENV/ready" ] || return 0
    rm -rf "$VENV"
    step "Python packages of the tests" make_venv || refuse "the Python packages of tests/requirements.txt could not be installed"
    touch "$VENV/ready"
}

make_venv() {
    python3 -m venv "$VENV" && "$VENV/bin/python" -m pip install -q --disable-pip-version-check --only-binary=:all: --require-hashes -r tests/requirements.txt
}

# The phone that tests run in a browser.
build_modules() {
    local modules
    modules=$BOX_CACHE/modules-$(hash_of tests/support/web_phone/package-lock.json)
    if [ ! -e "$modules/ready" ]; then
        command -v npm >/dev/null || need_packages nodejs npm
        rm -rf "$modules"
        step "npm packages of the tests" make_modules "$modules" || refuse "the npm packages of tests/support/web_phone could not be installed"
        touch "$modules/ready"
    fi
    ln -sfn "$(basename "$modules")" "$BOX_CACHE/modules"
}

make_modules() {
    mkdir -p "$1"
    cp tests/support/web_phone/package*.json "$1"
    npm ci --prefix "$1" --silent --ignore-scripts --no-audit --no-fund
}

DENY_VERSION=0.20.2
build_deny() {
    DENY=$BOX_CACHE/tools/bin/cargo-deny
    [ "$("$DENY" --version 2>/dev/null)" != "cargo-deny $DENY_VERSION" ] || return 0
    # Unoptimised: it reads for six seconds, and optimising it takes five minutes.
    CARGO_TARGET_DIR="$BOX_CACHE/tools/target" CARGO_PROFILE_DEV_DEBUG=0 step "building cargo-deny" \
        cargo install --locked --debug --no-default-features --root "$BOX_CACHE/tools" --version "$DENY_VERSION" cargo-deny || return 1
    rm -rf "$BOX_CACHE/tools/target"
}
