# How does the image come about?  Sourced by `box`.
#
# stage (our programs, units and public keys as a tree) -> mkosi in the tools tree -> lock -> bill of materials ->
# release folder -> signatures. Everything works in BOX_CACHE/image; of the repository only image.lock is written.

IMAGE_WORK=$BOX_CACHE/image
DEVELOPMENT_KEYS=$BOX_CACHE/keys
IMAGE_KEYS=${IMAGE_KEYS:-$DEVELOPMENT_KEYS}
export IMAGE_KEYS
# Not exported: Cargo would build every C library anew for it.
IMAGE_EPOCH=$(cat image/epoch)
IMAGE_VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

# build_image check|write: the release folder of this version, signed.
build_image() {
    local version=$IMAGE_VERSION out=$IMAGE_WORK/out stage=$IMAGE_WORK/stage
    LOCK=$1
    prepare_image "$stage"
    step "image $version (mkosi)" run_mkosi "$version" "$stage" "$out" || refuse "the image does not build"
    lock_image "$version" "$out" "$LOCK"
    step "bill of materials" bill_of_materials "$version" "$out" || refuse "the bill of materials is not complete"
    step "release folder" make_release "$version" "$out" || refuse "the release folder could not be made"
    step "signatures" in_tools python3 /scaibox/image/release.py sign "$IMAGE_WORK/release" --keys "$IMAGE_KEYS" || exit 1
    say "made: $IMAGE_WORK/release"
}

# Programs, tools and keys, and the stage that they become.
prepare_image() {
    setup_run
    need_image_tools
    image_keys || refuse "the keys could not be made"
    stage_image "$1" || refuse "the stage could not be made"
}

# Development keys are made once and say what they are; IMAGE_KEYS names a folder with others.
image_keys() {
    [ ! -e "$IMAGE_KEYS/root.json" ] || return 0
    [ "$IMAGE_KEYS" = "$DEVELOPMENT_KEYS" ] || refuse "$IMAGE_KEYS/root.json is missing: release keys are made by hand, see image/signing.py"
    mkdir -p "$IMAGE_KEYS"
    in_tools python3 /scaibox/image/release.py keys --keys "$IMAGE_KEYS" --development &&
        "$BIN/channel" init --repository "$IMAGE_KEYS/channel" --keys "$IMAGE_KEYS/tuf" >&2 &&
        cp "$IMAGE_KEYS/channel/metadata/1.root.json" "$IMAGE_KEYS/root.json"
}

# run_mkosi VERSION STAGE OUT [OPTION…]: one disk image with its parts.
run_mkosi() {
    local version=$1 stage=$2 out=$3 options=()
    shift 3
    write_apt_sources "$IMAGE_WORK/sandbox"
    mapfile -t options < <(sed -n '/^[^#]/s/^/--kernel-command-line=/p' hardening/cmdline)
    rm -rf "$out" && mkdir -p "$out" "$IMAGE_WORK/packages"
    (umask 022 && in_tools mkosi -C /scaibox/image/mkosi --image-version "$version" \
        --source-date-epoch "$IMAGE_EPOCH" --output-directory "$out" --extra-tree "$stage" \
        --sandbox-tree "$IMAGE_WORK/sandbox" --package-cache-dir "$IMAGE_WORK/packages" --workspace-directory /var/tmp \
        "${options[@]}" "$@" --force build)
}

# The mirrors are those of `find_mirrors`, never of a file of the repository.
write_apt_sources() {
    local sources=$1/etc/apt/sources.list.d/mkosi.sources
    mkdir -p "$(dirname "$sources")"
    # mkosi adds its own list, with an archive that plain mirrors lack, unless a file has this very name.
    apt_source "$MIRROR" "$IMAGE_SUITE $IMAGE_SUITE-updates" >"$sources"
    apt_source "$MIRROR_SECURITY" "$IMAGE_SUITE-security" >>"$sources"
    pin_locked_versions "$1/etc/apt/preferences.d/locked"
}

apt_source() {
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$1" "$2"
    [ -z "${IMAGE_SNAPSHOT:-}" ] || echo 'Check-Valid-Until: no'
    printf 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n'
}

# apt takes the locked versions where the archive still has them; where not, the lock's check names the difference.
pin_locked_versions() {
    mkdir -p "$(dirname "$1")"
    if [ "${LOCK:-check}" = write ] || [ ! -e image/image.lock ]; then
        : >"$1"
    else
        python3 image/lock.py pins >"$1"
    fi
}

# lock_image VERSION OUT write|check
lock_image() {
    step "lock: $3" python3 image/lock.py "$3" --lists "$IMAGE_WORK/packages/lib/apt/lists" \
        --lists "$TOOLS/var/lib/apt/lists" --debs "$IMAGE_WORK/packages/cache/apt" \
        --manifest "image=$2/scaibox_$1.manifest" --manifest "initrd=$2/initrd.manifest" --tree "tools=$TOOLS" ||
        { [ "${LOCK_IS_ADVICE:-}" = 1 ] || exit 1; }
}

bill_of_materials() {
    local root=$IMAGE_WORK/root
    rm -rf "$root"
    in_tools fsck.erofs --extract="$root" "$(echo "$2"/scaibox_"$1".root.*.raw)" >/dev/null
    SOURCE_DATE_EPOCH=$IMAGE_EPOCH python3 image/sbom.py --version "$1" --root "image=$root" --debs "$IMAGE_WORK/packages/cache/apt" \
        --part "$2/scaibox_$1.efi" --to "$2" || return 1
    rm -rf "$root"
}

make_release() {
    SOURCE_DATE_EPOCH=$IMAGE_EPOCH in_tools python3 /scaibox/image/release.py make --output "$2" --version "$1" --to "$IMAGE_WORK/release" \
        --with "$2/scaibox_$1.cdx.json" --with "$2/scaibox_$1.spdx.json" --with /scaibox/image/image.lock
}

# verify_image: builds everything once more as another machine would, and names the first byte that differs.
verify_image() {
    local stage=$IMAGE_WORK/stage-again
    rm -rf "$stage"
    CARGO_TARGET_DIR=$IMAGE_WORK/target-again
    BIN=$CARGO_TARGET_DIR/debug
    PATH_MAPS=("$CARGO_TARGET_DIR=/target" "${CARGO_HOME:-$HOME/.cargo}=/cargo")
    export CARGO_TARGET_DIR RUSTFLAGS="${PATH_MAPS[*]/#/--remap-path-prefix=}" CFLAGS="${PATH_MAPS[*]/#/-ffile-prefix-map=}"
    export CXXFLAGS=$CFLAGS
    setup_run
    stage_image "$stage"
    compare_trees "$IMAGE_WORK/stage" "$stage" || refuse "the programs differ"
    same_elsewhere "$IMAGE_VERSION" "$stage" "$IMAGE_WORK/out" || refuse "two builds are not the same bytes"
    rm -rf "$stage" "$CARGO_TARGET_DIR"
}

# same_elsewhere VERSION STAGE OUT: is OUT what another machine would make?
same_elsewhere() {
    local again=$IMAGE_WORK/again
    step "image again: another host name, time zone, umask and one processor" elsewhere "$1" "$2" "$again" &&
        compare_images "$3" "$again" && rm -rf "$again"
}

elsewhere() {
    (
        umask 027
        export TZ=Asia/Tokyo IMAGE_HOSTNAME=elsewhere
        taskset -p -c 0 "$BASHPID" >/dev/null
        run_mkosi "$@"
    )
}

compare_trees() {
    local file
    while IFS= read -r file; do
        cmp "$1/$file" "$2/$file" >&2 || return 1
    done < <(cd "$1" && find . -type f | sort)
}

# compare_images OUT AGAIN
compare_images() {
    local file different=0
    for file in "$1"/scaibox_*.raw "$1"/scaibox_*.efi; do
        [ ! -L "$file" ] || continue
        cmp "$file" "$2/${file##*/}" >&2 || different=1
    done
    if [ $different = 1 ]; then
        name_difference "$1" "$2"
        return 1
    fi
    say "identical: $(cd "$1" && sha256sum scaibox_*.raw scaibox_*.efi | sort -k2 | tr '\n' ';')"
}

# The first file of the root that differs in content, mode or owner.
name_difference() {
    local side
    for side in "$1" "$2"; do
        in_tools sh -c 'rm -rf /var/tmp/x && fsck.erofs --extract=/var/tmp/x --preserve "$1" >/dev/null && cd /var/tmp/x &&
            find . -type f -exec sha256sum {} + | sort -k2; find . -printf "%p %y %m %U:%G %s %l\n" | sort' _ \
            "$(echo "$side"/scaibox_*.root.*.raw)" >"$IMAGE_WORK/list.${side##*/}"
    done
    diff "$IMAGE_WORK/list.${1##*/}" "$IMAGE_WORK/list.${2##*/}" | head -n 20 >&2 || true
}
