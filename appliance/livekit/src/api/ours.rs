//! Which of LiveKit's objects are ours?

use types::TrunkId;

/// The key in an object's metadata, a JSON object, that names our trunk.
pub const METADATA_KEY: &str = "scaibox.trunk_id";

/// Metadata for the objects of a trunk.
pub fn metadata(trunk: TrunkId) -> String {
    serde_json::json!({ METADATA_KEY: trunk }).to_string()
}

/// The trunk of ours that an object belongs to.
pub fn trunk_of(metadata: &str) -> Option<TrunkId> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
    metadata.get(METADATA_KEY)?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_ours_is_known_by_its_metadata() {
        let trunk = TrunkId::new();
        assert_eq!(trunk_of(&metadata(trunk)), Some(trunk));
    }

    #[test]
    fn anything_else_is_not_ours() {
        for metadata in ["", "hello", "[]", "{}", r#"{"scaibox.trunk_id":7}"#, r#"{"scaibox.trunk_id":"trk_x"}"#] {
            assert_eq!(trunk_of(metadata), None, "{metadata}");
        }
    }
}
