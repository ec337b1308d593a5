//! The call history as a spreadsheet takes it: RFC 4180.

use super::http::CallView;
use std::fmt::Write;
use store::sql;
use types::EndReason;

const HEADER: &str = "id,kind,direction,caller,callee,extension_id,did_id,state,started_at,answered_at,ended_at,\
                      duration_s,end_reason,sip_code,correlation_id\r\n";

pub fn of_calls(calls: &[CallView]) -> String {
    let mut text = HEADER.to_owned();
    for CallView { call, .. } in calls {
        let end = call.ended_at.unwrap_or(call.started_at);
        let talked = call.answered_at.map(|from| end.duration_since(from).as_secs_f64().max(0.0));
        let fields = [
            call.id.to_string(),
            call.kind.to_string(),
            call.direction.to_string(),
            call.caller.clone(),
            call.callee.clone(),
            sql::text(call.extension_id).unwrap_or_default(),
            sql::text(call.did_id).unwrap_or_default(),
            call.state.to_string(),
            sql::time(call.started_at),
            call.answered_at.map(sql::time).unwrap_or_default(),
            call.ended_at.map(sql::time).unwrap_or_default(),
            talked.map(|seconds| format!("{seconds:.1}")).unwrap_or_default(),
            call.end_reason.map(EndReason::as_str).unwrap_or_default().to_owned(),
            sql::text(call.sip_code).unwrap_or_default(),
            call.correlation_id.to_string(),
        ];
        let line: Vec<_> = fields.iter().map(|field| quoted(field)).collect();
        write!(text, "{}\r\n", line.join(",")).ok();
    }
    text
}

/// Quoted where needed; what a spreadsheet would run as a formula gets a quote mark in front, numbers excepted.
fn quoted(field: &str) -> String {
    let number = field.strip_prefix('+').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']) && !number;
    let safe = if formula { format!("'{field}") } else { field.to_owned() };
    if safe.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_cannot_break_out_of_its_cell() {
        assert_eq!(quoted("+31201234567"), "+31201234567");
        assert_eq!(quoted("=1+2"), "'=1+2");
        assert_eq!(quoted("+cmd|' /C calc'!A0"), "'+cmd|' /C calc'!A0");
        assert_eq!(quoted("a \"b\", c"), "\"a \"\"b\"\", c\"");
    }
}
