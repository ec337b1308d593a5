//! The three messages of package `google.protobuf` that the ones beside us contain.

use std::time;

/// google/protobuf/empty.proto, `Empty`. Any other message decodes into it too.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Empty {}

/// google/protobuf/any.proto, `Any`: some message and the name of its type.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// google/protobuf/duration.proto, `Duration`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Duration {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Duration {
    /// A negative duration counts as none at all.
    pub fn to_std(self) -> time::Duration {
        match (u64::try_from(self.seconds), u32::try_from(self.nanos)) {
            (Ok(seconds), Ok(nanos)) => time::Duration::from_secs(seconds) + time::Duration::from_nanos(nanos.into()),
            _ => time::Duration::ZERO,
        }
    }
}

impl From<time::Duration> for Duration {
    fn from(from: time::Duration) -> Self {
        Self { seconds: from.as_secs().try_into().unwrap_or(i64::MAX), nanos: from.subsec_nanos() as i32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_survives_the_way_there_and_back() {
        let given = time::Duration::from_millis(2_500);
        assert_eq!(Duration::from(given), Duration { seconds: 2, nanos: 500_000_000 });
        assert_eq!(Duration::from(given).to_std(), given);
    }

    #[test]
    fn a_negative_duration_counts_as_none() {
        assert_eq!(Duration { seconds: -1, nanos: 0 }.to_std(), time::Duration::ZERO);
        assert_eq!(Duration { seconds: 0, nanos: -5 }.to_std(), time::Duration::ZERO);
    }
}
