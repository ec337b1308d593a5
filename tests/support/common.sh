# How do the scripts talk, wait and stop?  Sourced by `box`.
# Everything said goes to stderr: stdout belongs to `./box run --json`.

say() { printf '%s\n' "$*" >&2; }

# Status 2: nothing was tried, the caller must do something first.
refuse() {
    say "box: $*"
    exit 2
}

STEP_PID=
BEAT_PID=
stop_step() {
    [ -z "$BEAT_PID" ] || kill "$BEAT_PID" 2>/dev/null || true
    [ -z "$STEP_PID" ] || kill "$STEP_PID" 2>/dev/null || true
}
trap 'stop_step; exit 143' TERM
trap 'stop_step; exit 130' INT

# step WHAT COMMAND…: runs it with its output on stderr and a sign of life every 30 s.
step() {
    local what=$1 began=$SECONDS status=0
    shift
    say "== $what"
    "$@" </dev/null >&2 &
    STEP_PID=$!
    beat "$what" "$began" &
    BEAT_PID=$!
    wait "$STEP_PID" || status=$?
    kill "$BEAT_PID" 2>/dev/null || true
    wait "$BEAT_PID" 2>/dev/null || true
    STEP_PID= BEAT_PID=
    [ $((SECONDS - began)) -lt 5 ] || say "== $what: $((SECONDS - began)) s"
    return "$status"
}

beat() {
    trap - TERM INT
    while sleep 30 </dev/null >/dev/null 2>&1; do
        say "   $1: still at work after $((SECONDS - $2)) s"
    done
}

# hash_of FILE…: 12 characters that change with any of the files.
hash_of() { cat "$@" | sha256sum | cut -c1-12; }
