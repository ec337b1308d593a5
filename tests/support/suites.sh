# Which checks are there, in which order, and what do they add up to?  Sourced by `box test`.

SUITES=(fmt clippy deny bundle rust security calls api acceptance image)
ACCEPTANCE_DIR=${ACCEPTANCE_DIR:-$ROOT/../shared/acceptance}
PASSED=0 FAILED=0 FAILURES=()

run_suites() {
    local name chosen=("$@")
    [ $# -gt 0 ] || chosen=("${SUITES[@]}")
    for name in "${chosen[@]}"; do
        [[ " ${SUITES[*]} " == *" $name "* ]] || refuse "no suite '$name'; there are: ${SUITES[*]}"
    done
    setup_test
    OUT=$(mktemp -d)
    trap 'rm -rf "$OUT"' EXIT
    export PYTHONDONTWRITEBYTECODE=1
    for name in "${chosen[@]}"; do
        "suite_$name" || true
    done
    [ ! -s "$OUT/failed" ] || cat "$OUT/failed" >&2
    [ ${#FAILURES[@]} -eq 0 ] || say "failed: ${FAILURES[*]}"
    echo "$PASSED passed, $FAILED failed"
    [ "$FAILED" -eq 0 ]
}

add() { PASSED=$((PASSED + $1)) FAILED=$((FAILED + $2)); }

# A check that passes or fails as a whole.
whole() {
    if step "$@"; then add 1 0; else
        add 0 1
        FAILURES+=("$1;")
    fi
}

suite_fmt() { whole "formatting" cargo fmt --all --check; }
suite_clippy() { whole "clippy" cargo clippy --locked --workspace --all-targets -- -D warnings; }
suite_bundle() { whole "third-party binaries are the recorded ones" check_bundle; }

suite_deny() {
    build_deny || refuse "could not build cargo-deny"
    whole "licences, bans and sources" "$DENY" check bans licenses sources
    whole "tests and daemons use the same builds of libraries" same_builds
}

# Cargo would compile a library again, and all that stand on it, if tests asked for features of it that daemons do not.
same_builds() {
    local other
    other=$(LC_ALL=C comm -23 <(libraries normal,build) <(libraries normal,build,dev))
    [ -z "$other" ] || {
        say "built anew for tests; put the features into tests/support/Cargo.toml:" "$other"
        return 1
    }
}

libraries() { cargo tree --locked --workspace --edges "$1" --prefix none --format '{p} {f}' | sed 's/ ([*])$//' | LC_ALL=C sort -u; }

# counted WHAT COUNTER COMMAND…: shows the output and adds up what COUNTER finds in it.
counted() {
    local what=$1 counter=$2 log=$OUT/log status=0 found
    shift 2
    step "$what" log_to "$log" "$@" || status=$?
    found=$("$counter" "$log")
    add ${found:-0 0}
    # A run that ended badly without naming a failed test has failed nevertheless.
    if [ "$status" -ne 0 ]; then
        [ "${found#* }" -gt 0 ] || add 0 1
        FAILURES+=("$what;")
        failed_part "$log" >>"$OUT/failed"
    fi
}

# What a long run scrolled away: the failed tests of a log with what they said, then their names.
failed_part() {
    sed -nE '/^(=+ (FAILURES|ERRORS) =+|failures:)$/,$p' "$1" | head -n 150
    grep -E '^(FAILED|ERROR) |^test .* FAILED$' "$1"
}

log_to() {
    local log=$1
    shift
    set -o pipefail
    "$@" 2>&1 | tee "$log"
}

count_cargo() { awk '/^test result:/ { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$1"; }

# The closing line of pytest: "3 failed, 20 passed, 1 error in 7.01s"; a client library may still talk after it.
count_pytest() {
    grep -E '(passed|failed|error).* in [0-9.]+s' "$1" | tail -n 1 | awk '{
        for (n = 2; n <= NF; n++) { if ($n ~ /^passed/) p += $(n-1); if ($n ~ /^(failed|error)/) f += $(n-1) }
    } END { print p + 0, f + 0 }'
}

count_closing() { awk '/^[0-9]+ passed, [0-9]+ failed$/ { passed = $1; failed = $3 } END { print passed + 0, failed + 0 }' "$1"; }

# The readers of what comes from outside are fed damaged input for a while; `cargo test -p fuzz` alone does so briefly.
suite_rust() { FUZZ_SECONDS=20 counted "Rust tests" count_cargo cargo test --locked --workspace --no-fail-fast; }
suite_calls() { side_by_side "calls" tests/calls; }
suite_api() { side_by_side "API" tests/api; }

# side_by_side WHAT FOLDER: four files at a time, each in a network of its own. They wait for audio more than they compute.
side_by_side() {
    local options=()
    ! tests/support/apart true 2>/dev/null ||
        options=(--dist loadfile --tx "4*popen//python=$(printf '%q %q' "$ROOT/tests/support/apart" "$VENV/bin/python")")
    counted "$1" count_pytest "$VENV/bin/python" -m pytest "${options[@]}" "$2"
}

suite_security() {
    as_root "what the units may touch" || return 0
    need_image_tools
    export TOOLS
    counted "what the units may touch" count_pytest "$VENV/bin/python" -m pytest tests/security
}

# The image is built and booted as root, in namespaces of its own.
suite_image() {
    as_root "the image" || return 0
    build_trial_images
    whole "two builds are the same bytes" same_trial_image
    local pytest=("$VENV/bin/python" -m pytest -s) inputs=(tests/support image/trial.sh)
    counted "lock, bill of materials and release" count_pytest "${pytest[@]}" tests/image/test_{lock,sbom,release,mirrors}.py
    kept_outcome "first boot and call" "boot-$(hash_tree "$IMAGES/1" tests/image/test_first_boot.py tests/image/conftest.py "${inputs[@]}")" \
        unshare -n "${pytest[@]}" tests/image/test_first_boot.py
    kept_outcome "update and roll-back" "update-$(hash_tree image systemd hardening provisioning tests/image/test_update.py tests/image/conftest.py "${inputs[@]}")" \
        unshare -n "${pytest[@]}" tests/image/test_update.py
    kept_outcome "backup, restore and factory reset" "data-$(hash_tree image systemd hardening provisioning appliance/scaibox tests/image/test_data.py tests/image/conftest.py "${inputs[@]}")" \
        unshare -n "${pytest[@]}" tests/image/test_data.py
    kept_outcome "update from a stick and back" "stick-$(hash_tree image systemd hardening provisioning tests/image/test_stick.py tests/image/conftest.py "${inputs[@]}")" \
        unshare -n "${pytest[@]}" tests/image/test_stick.py
}

as_root() {
    [ "$(id -u)" != 0 ] || return 0
    say "== $1: NOT RUN, it needs root"
    return 1
}

suite_acceptance() {
    if [ ! -d "$ACCEPTANCE_DIR" ]; then
        say "== acceptance suite: not run, there is no $ACCEPTANCE_DIR"
        return
    fi
    counted "acceptance suite" count_closing "$VENV/bin/python" tests/support/acceptance.py "$ACCEPTANCE_DIR"
}
