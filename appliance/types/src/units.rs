//! Which daemons make a box?

/// Names of units, in the order in which people are shown them.
pub const DAEMONS: [&str; 10] = [
    "rtp-firewall",
    "sip-gateway",
    "livekit-server",
    "control-api",
    "voice-worker",
    "network-info",
    "redis",
    "minio",
    "first-boot",
    "fleet-agent",
];
