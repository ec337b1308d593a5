//! How bad is a defect, and what helps?

use sip::{CertificateFault, SipError};
use types::probe::{
    Defect::{self, *},
    ProbeOutcome,
};

/// `Failed` where calls do not work, `Warning` where they do.
pub fn outcome_of(defect: Defect) -> ProbeOutcome {
    match defect {
        TransportNotInNaptr | OptionsUnanswered | NoRinging | AnswerForked | AckLost | ContactUnreachable
        | PrivateAddressInSdp | AudioFromElsewhere | OddPtime | HoldRefused | HoldIgnored | NoAudioAfterHold
        | NoTelephoneEvent | NoRefer => ProbeOutcome::Warning,
        NameUnresolved
        | Unreachable
        | CertificateExpired
        | CertificateNotYetValid
        | CertificateForAnotherName
        | CertificateUntrusted
        | CertificateRefused
        | TlsFailed
        | TcpOnly
        | RegisterUnanswered
        | RegisterRefused
        | CredentialsRefused
        | ChallengeLoop
        | CallUnanswered
        | CallRefused
        | AnswerUnusable
        | NoAudio
        | CallDropped => ProbeOutcome::Failed,
    }
}

/// What to do about it.
pub fn hint(defect: Defect) -> &'static str {
    match defect {
        NameUnresolved => "sip_server_address does not resolve: check its spelling, and the box's name servers",
        TransportNotInNaptr => "the carrier's DNS offers other transports than sip_transport: choose one that it names",
        Unreachable => "nobody takes the connection: check the port in sip_server_address, and firewalls in between",
        CertificateExpired => "the carrier has to renew its certificate; check the box's clock, too",
        CertificateNotYetValid => "the carrier's certificate begins in the future: check the box's clock",
        CertificateForAnotherName => "set sip_server_address to the name that is in the carrier's certificate",
        CertificateUntrusted => {
            "the certificate is signed by nobody that the box trusts: ask the carrier for its authority"
        }
        CertificateRefused => "the carrier has to mend its certificate",
        TlsFailed => "no TLS is spoken there: the usual port is 5061; or set sip_transport to tcp",
        OptionsUnanswered => "no harm if calls work; the trunk's health will say that the carrier is away",
        TcpOnly => "set sip_transport to tcp",
        RegisterUnanswered => "a firewall drops our packets, or no registrar is at sip_server_address",
        RegisterRefused => "ask the carrier whether this account may register; if not, set register to false",
        CredentialsRefused => "compare sip_auth_username and sip_auth_password with the carrier's portal",
        ChallengeLoop => {
            "it asks for the password again and again: the password is wrong, or the carrier forgets its own nonces"
        }
        CallUnanswered => "nobody answered: give a number that answers, an echo test for example",
        CallRefused => "the carrier refuses this call: its own words say why; check number and the right to call there",
        AnswerUnusable => "the answer's session description cannot be used: codecs and media_encryption must fit",
        NoRinging => "no harm: whoever calls hears our ringing; announcements before the answer are not heard",
        AnswerForked => "the call was answered at two places; the box hung the second one up, and may be billed for it",
        AckLost => "packets to the carrier get lost: look at the line, or set sip_transport to tcp",
        ContactUnreachable => {
            "the carrier's Contact leads nowhere (a NAT in front of it?); requests go to where it answers from"
        }
        PrivateAddressInSdp => {
            "the carrier names a private address for its audio; the box sends to where its SIP comes from instead"
        }
        AudioFromElsewhere => "audio comes from another address than the carrier names, and is not heard",
        NoAudio => "nothing is heard: RTP ports of the box must be open to the carrier (10000 to 10200/udp)",
        OddPtime => "no harm: other frames than 20 ms cost some delay",
        HoldRefused => "calls through this carrier cannot be put on hold",
        HoldIgnored => "whoever is put on hold is heard by nobody, but the carrier goes on as if there were no hold",
        NoAudioAfterHold => "do not put calls through this carrier on hold: their audio does not come back",
        NoTelephoneEvent => "digits do not reach the far end: ask the carrier for telephone-event (RFC 4733)",
        NoRefer => "transfers are bridged by the box: they take two channels of it as long as they last",
        CallDropped => "the carrier hung up on what the step before asked for",
    }
}

/// Which defect keeps us from connecting.
pub fn of_error(error: &SipError) -> Defect {
    match (error.certificate_fault(), error) {
        (Some(CertificateFault::Expired), _) => CertificateExpired,
        (Some(CertificateFault::NotYetValid), _) => CertificateNotYetValid,
        (Some(CertificateFault::OtherName), _) => CertificateForAnotherName,
        (Some(CertificateFault::UnknownIssuer), _) => CertificateUntrusted,
        (Some(CertificateFault::Other), _) => CertificateRefused,
        (None, SipError::NotTrusted { .. }) => TlsFailed,
        (None, SipError::Unresolved(_) | SipError::BadAddress(_)) => NameUnresolved,
        (None, _) => Unreachable,
    }
}
