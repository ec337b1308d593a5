//! Which Redis channel carries what?
//!
//! The names of psrpc's `pkg/info/channels.go` (the `Legacy` ones, which Redis uses): parts joined
//! by `|`, empty parts left out, anything but letters, digits and `_` escaped.

/// Where a method's requests arrive.
pub fn requests(service: &str, method: &str, topic: &[&str]) -> String {
    of_method(service, method, topic, "REQ")
}

/// Where clients tell a method's servers whom they chose.
pub fn claim_responses(service: &str, method: &str, topic: &[&str]) -> String {
    of_method(service, method, topic, "RCLAIM")
}

/// Where servers offer themselves to a client.
pub fn claim_requests(service: &str, client_id: &str) -> String {
    join([service, client_id, "CLAIM"])
}

/// Where a client gets its answers.
pub fn responses(service: &str, client_id: &str) -> String {
    join([service, client_id, "RES"])
}

fn of_method(service: &str, method: &str, topic: &[&str], kind: &str) -> String {
    join([service, method].into_iter().chain(topic.iter().copied()).chain([kind]))
}

fn join<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let clean: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).map(sanitise).collect();
    clean.join("|")
}

fn sanitise(part: &str) -> String {
    let mut clean = String::with_capacity(part.len());
    for char in part.chars() {
        match char {
            '0'..='9' | 'A'..='Z' | 'a'..='z' | '_' => clean.push(char),
            _ if u32::from(char) < 0x10000 => clean.push_str(&format!("u+{:04x}", u32::from(char))),
            _ => clean.push_str(&format!("U+{:08x}", u32::from(char))),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_topic_leaves_no_trace() {
        assert_eq!(requests("SIPInternal", "CreateSIPParticipant", &[""]), "SIPInternal|CreateSIPParticipant|REQ");
        assert_eq!(requests("IOInfo", "EvaluateSIPDispatchRules", &[]), "IOInfo|EvaluateSIPDispatchRules|REQ");
    }

    #[test]
    fn a_call_has_channels_of_its_own() {
        let topic = ["SCL_abc"];
        let method = "TransferSIPParticipant";
        assert_eq!(requests("SIPInternal", method, &topic), "SIPInternal|TransferSIPParticipant|SCL_abc|REQ");
        assert_eq!(claim_responses("SIPInternal", method, &topic), "SIPInternal|TransferSIPParticipant|SCL_abc|RCLAIM");
    }

    #[test]
    fn a_client_is_reached_by_its_id() {
        assert_eq!(responses("IOInfo", "CLI_owoC2iI3IL3O"), "IOInfo|CLI_owoC2iI3IL3O|RES");
        assert_eq!(claim_requests("IOInfo", "CLI_owoC2iI3IL3O"), "IOInfo|CLI_owoC2iI3IL3O|CLAIM");
    }

    #[test]
    fn other_characters_are_escaped_by_code_point() {
        assert_eq!(join(["🚀_É", "🛰_bar", "软件", "END"]), "U+0001f680_u+00c9|U+0001f6f0_bar|u+8f6fu+4ef6|END");
        assert_eq!(join(["a-b"]), "au+002db");
    }
}
