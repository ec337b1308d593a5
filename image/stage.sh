# What is in the image beside Debian's packages?  Sourced by `box`.
#
# A tree of our programs, units, rules and public keys, laid over the packages by mkosi. Programs are those that
# `./box run` and the tests use, without their symbols.

OUR_PROGRAMS=(sip-gateway control-api voice-worker network-info rtp-firewall first-boot fleet-agent self-call)

# stage_image STAGE
stage_image() {
    local stage=$1
    rm -rf "$stage"
    (umask 022 && stage_programs "$stage" && systemd/install.sh "$stage" && stage_settings "$stage")
}

stage_programs() {
    local lib=$1/usr/lib/scaibox name
    mkdir -p "$lib" "$1/usr/bin"
    for name in "${OUR_PROGRAMS[@]}"; do
        in_tools strip -o "$lib/$name" "$BIN/$name"
    done
    in_tools strip -o "$1/usr/bin/scaibox" "$BIN/scaibox"
    install -m 755 "$LIVEKIT_SERVER_BIN" "$lib/livekit-server"
    install -m 755 "$MINIO_BIN" "$lib/minio"
}

stage_settings() {
    cp -r image/mkosi/repart.d "$1/usr/lib/repart.d"
    install -D -m 644 image/fstab "$1/etc/fstab"
    install -D -m 644 "$IMAGE_KEYS/import-pubring.gpg" "$1/etc/systemd/import-pubring.gpg"
    install -D -m 644 "$IMAGE_KEYS/root.json" "$1/usr/share/scaibox/update/root.json"
}
