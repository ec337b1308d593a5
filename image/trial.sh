# Which images do the tests boot?  Sourced by `box test`.
#
# Version 1 is the image as it is, version 2 the same with a higher number, version 3 has a gateway that does not start.
# They are kept by the hash of what is in them; so are the outcomes of the tests, by the hash of image and tests.

# Sets IMAGES: a folder with a folder for each version.
build_trial_images() {
    local stage=$IMAGE_WORK/stage-trial key
    prepare_image "$stage"
    write_broken "$IMAGE_WORK/broken"
    key=$(hash_tree "$stage" image/mkosi systemd/initrd systemd/emergency.service.d image/fstab image/epoch image/tools.packages hardening/cmdline)
    IMAGES=$IMAGE_WORK/trial-$key
    find "$IMAGE_WORK" -maxdepth 1 -name 'trial-*' ! -path "$IMAGES" -exec rm -rf {} +
    trial_image 1 "$stage" && trial_image 2 "$stage" && trial_image 3 "$stage" --extra-tree "$IMAGE_WORK/broken"
    LOCK_IS_ADVICE=1 lock_image 1 "$IMAGES/1" check
    export IMAGES TOOLS
}

trial_image() {
    local version=$1
    [ ! -e "$IMAGES/$version/ready" ] || return 0
    step "image $version (mkosi)" run_mkosi "$version" "$2" "$IMAGES/$version" "${@:3}" || refuse "the image does not build"
    touch "$IMAGES/$version/ready"
}

# Version 1 once more, as another machine would build it.
same_trial_image() {
    [ -e "$IMAGES/same" ] || { same_elsewhere 1 "$IMAGE_WORK/stage-trial" "$IMAGES/1" && touch "$IMAGES/same"; }
}

write_broken() {
    rm -rf "$1"
    mkdir -p "$1/usr/lib/scaibox"
    printf '#!/bin/sh\nexit 1\n' >"$1/usr/lib/scaibox/sip-gateway"
    chmod 755 "$1/usr/lib/scaibox/sip-gateway"
}

# hash_tree PATH…: changes with every name, mode and byte below; what Python keeps for itself does not count.
hash_tree() {
    {
        find "$@" -name __pycache__ -prune -o -printf '%P %y %m %l\n' | sort
        find "$@" -name __pycache__ -prune -o -type f -print0 | sort -z | xargs -0 cat
    } | sha256sum | cut -c1-16
}

# kept_outcome WHAT KEY COMMAND…: runs the tests, or says what they said about the very same inputs.
kept_outcome() {
    local kept=$IMAGE_WORK/outcomes/$2 what=$1
    shift 2
    if [ -e "$kept" ]; then
        say "== $what: nothing that it depends on has changed since $(date -u -r "$kept" +%FT%TZ)"
        cat "$kept" >&2
        add "$(count_pytest "$kept" | cut -d' ' -f1)" 0
        return
    fi
    local failed=$FAILED
    counted "$what" count_pytest "$@"
    if [ "$FAILED" = "$failed" ]; then
        mkdir -p "${kept%/*}"
        cp "$OUT/log" "$kept"
    fi
}
