//! What `voice-worker` and bots are asked to do.

use crate::{CallId, CorrelationId, ExtensionId, TenantId, VoicemailId};
use serde::{Deserialize, Serialize};

/// Metadata of an agent dispatch to `voice-worker` (agent name [`VOICE_AGENT`]); also given to bots of any other worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobMetadata {
    pub call_id: CallId,
    pub tenant_id: TenantId,
    pub correlation_id: CorrelationId,
    /// Participant identity of the caller's leg.
    pub caller_identity: String,
    /// The caller's number, for the record.
    pub caller: String,
    pub task: JobTask,
}

/// The agent name that `voice-worker` registers.
pub const VOICE_AGENT: &str = "scaibox-voice";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobTask {
    Voicemail {
        voicemail_id: VoicemailId,
        extension_id: Option<ExtensionId>,
        /// Spoken before the beep.
        greeting: String,
        voice: Option<String>,
        /// Where the Ogg Opus goes in the bucket.
        object_key: String,
        /// At most this long; 300 by default.
        max_s: u32,
        /// Ends after this much silence; 10 by default.
        silence_s: u32,
    },
    PlayMessage {
        text: String,
        voice: Option<String>,
    },
    /// For other workers than ours.
    Bot {
        bot_id: crate::BotId,
    },
}
