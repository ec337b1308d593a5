//! What is stored of a leg: one party of a call.

use crate::{StoreError, sql};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};
use serde::{Deserialize, Serialize};
use types::{CallId, ExtensionId, LegId, TenantId, TrunkId, UserId};
use utoipa::ToSchema;

crate::choices! {
    LegKind { Sip = "sip", Webrtc = "webrtc", Bot = "bot", Recorder = "recorder" }

    LegState { Dialing = "dialing", Ringing = "ringing", Active = "active", Held = "held", Ended = "ended" }

    /// Seen from the box.
    Direction { Inbound = "inbound", Outbound = "outbound" }
}

/// Media figures of a SIP leg, as received from the phone. What is not known is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    pub packets: u64,
    pub lost: u64,
    /// RFC 3550 interarrival jitter.
    pub jitter_ms: Option<f64>,
    /// How the phone sounds here, 1 (bad) to 4.41: estimated from loss, jitter and delay (ITU-T G.107).
    pub mos: Option<f64>,
    /// To the phone and back, mean over the call, where the phone sends RTCP.
    #[serde(default)]
    pub rtt_ms: Option<f64>,
    /// How we sound at the phone, where it says so by RTCP.
    #[serde(default)]
    pub far_end: Option<FarEnd>,
}

impl Stats {
    /// As it is stored. Programs of before there was null here can still read it after a roll-back, so what is not known
    /// is 0; a known score is at least 1, and there is no jitter without two packets.
    fn stored(&self) -> Self {
        let known = |value: Option<f64>| Some(value.unwrap_or_default());
        Self { jitter_ms: known(self.jitter_ms), mos: known(self.mos), ..self.clone() }
    }

    /// What [`Stats::stored`] was made of.
    fn restored(self) -> Self {
        let jitter_ms = self.jitter_ms.filter(|_| self.packets > 1);
        Self { jitter_ms, mos: self.mos.filter(|score| *score >= 1.0), ..self }
    }
}

/// The phone's own figures of what it hears, by its last report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FarEnd {
    pub lost: u64,
    pub jitter_ms: f64,
    pub mos: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Leg {
    #[schema(value_type = String)]
    pub id: LegId,
    #[schema(value_type = String)]
    pub call_id: CallId,
    #[serde(skip)]
    pub tenant_id: Option<TenantId>,
    /// Its number within the call; 0 is the caller.
    pub party: u16,
    pub kind: LegKind,
    pub direction: Option<Direction>,
    pub state: LegState,
    /// LiveKit's id of a SIP leg.
    pub lk_call_id: Option<String>,
    /// The SIP Call-ID.
    pub sip_call_id: Option<String>,
    /// The participant's identity in the room.
    pub identity: Option<String>,
    /// A number or SIP URI.
    pub address: Option<String>,
    #[schema(value_type = Option<String>)]
    pub trunk_id: Option<TrunkId>,
    #[schema(value_type = Option<String>)]
    pub extension_id: Option<ExtensionId>,
    #[schema(value_type = Option<String>)]
    pub user_id: Option<UserId>,
    pub codec: Option<String>,
    pub stats: Option<Stats>,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    pub end_cause: Option<String>,
    pub end_detail: Option<String>,
    pub sip_code: Option<u16>,
}

impl Leg {
    /// A leg that was just thought of; set what is known of it.
    pub fn new(call: CallId, tenant: TenantId, party: u16, kind: LegKind, state: LegState, now: Timestamp) -> Self {
        Self {
            id: LegId::new(),
            call_id: call,
            tenant_id: Some(tenant),
            party,
            kind,
            direction: None,
            state,
            lk_call_id: None,
            sip_call_id: None,
            identity: None,
            address: None,
            trunk_id: None,
            extension_id: None,
            user_id: None,
            codec: None,
            stats: None,
            started_at: now,
            answered_at: None,
            ended_at: None,
            end_cause: None,
            end_detail: None,
            sip_code: None,
        }
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: sql::parse(row, "id")?,
            call_id: sql::parse(row, "call_id")?,
            tenant_id: Some(sql::parse(row, "tenant_id")?),
            party: row.get("party")?,
            kind: sql::parse(row, "kind")?,
            direction: sql::parse_opt(row, "direction")?,
            state: sql::parse(row, "state")?,
            lk_call_id: row.get("lk_call_id")?,
            sip_call_id: row.get("sip_call_id")?,
            identity: row.get("identity")?,
            address: row.get("address")?,
            trunk_id: sql::parse_opt(row, "trunk_id")?,
            extension_id: sql::parse_opt(row, "extension_id")?,
            user_id: sql::parse_opt(row, "user_id")?,
            codec: row.get("codec")?,
            stats: sql::from_json_opt(row, "stats")?.map(Stats::restored),
            started_at: sql::parse(row, "started_at")?,
            answered_at: sql::parse_opt(row, "answered_at")?,
            ended_at: sql::parse_opt(row, "ended_at")?,
            end_cause: row.get("end_cause")?,
            end_detail: row.get("end_detail")?,
            sip_code: row.get("sip_code")?,
        })
    }
}

/// Adds the leg, or writes down how it is now.
pub fn put(tx: &Transaction<'_>, tenant: TenantId, leg: &Leg) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO leg (id, call_id, tenant_id, party, kind, direction, state, lk_call_id, sip_call_id, identity,
                address, trunk_id, extension_id, user_id, codec, stats, started_at, answered_at, ended_at,
                end_cause, end_detail, sip_code)
         VALUES (:id, :call, :tenant, :party, :kind, :direction, :state, :lk_call, :sip_call, :identity,
                :address, :trunk, :extension, :user, :codec, :stats, :started, :answered, :ended,
                :cause, :detail, :code)
         ON CONFLICT (id) DO UPDATE SET party = :party, address = :address, state = :state, lk_call_id = :lk_call, sip_call_id = :sip_call,
                identity = :identity, trunk_id = :trunk, codec = :codec, stats = :stats, answered_at = :answered,
                ended_at = :ended, end_cause = :cause, end_detail = :detail, sip_code = :code",
        named_params! {
            ":id": leg.id.to_string(), ":call": leg.call_id.to_string(), ":tenant": tenant.to_string(),
            ":party": leg.party, ":kind": leg.kind.as_str(), ":direction": sql::text(leg.direction),
            ":state": leg.state.as_str(), ":lk_call": leg.lk_call_id, ":sip_call": leg.sip_call_id,
            ":identity": leg.identity, ":address": leg.address, ":trunk": sql::text(leg.trunk_id),
            ":extension": sql::text(leg.extension_id), ":user": sql::text(leg.user_id), ":codec": leg.codec,
            ":stats": leg.stats.as_ref().map(|stats| sql::json(&stats.stored())).transpose()?, ":started": sql::time(leg.started_at),
            ":answered": leg.answered_at.map(sql::time), ":ended": leg.ended_at.map(sql::time),
            ":cause": leg.end_cause, ":detail": leg.end_detail, ":code": leg.sip_code,
        },
    )?;
    Ok(())
}

/// The legs of a call in the order in which they came.
pub fn of_call(conn: &Connection, call: CallId) -> Result<Vec<Leg>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT * FROM leg WHERE call_id = ?1 ORDER BY party")?;
    let rows = statement.query_map([call.to_string()], Leg::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The leg that the gateway names.
pub fn find_by_lk(conn: &Connection, lk_call_id: &str) -> Result<Option<Leg>, StoreError> {
    let sql = "SELECT * FROM leg WHERE lk_call_id = ?1";
    Ok(conn.query_row(sql, [lk_call_id], Leg::from_row).optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_stored_as_a_number_and_read_as_unknown() {
        let silent = Stats { packets: 0, lost: 0, jitter_ms: None, mos: None, rtt_ms: None, far_end: None };
        let text = serde_json::to_value(silent.stored()).unwrap();
        assert_eq!((text["jitter_ms"].as_f64(), text["mos"].as_f64()), (Some(0.0), Some(0.0)));
        assert_eq!(silent.stored().restored(), silent);
        let known = Stats { packets: 2, jitter_ms: Some(0.0), mos: Some(1.0), ..silent };
        assert_eq!(known.stored().restored(), known);
    }
}
