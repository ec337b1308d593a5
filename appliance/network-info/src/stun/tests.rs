//! Are the RFC's own samples read right, and does nothing else pass for an answer?

use super::*;
use proptest::prelude::*;

/// RFC 5769, section 2.2: an answer over IPv4.
const SAMPLE_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643\
     000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";
/// Section 2.3: the same over IPv6.
const SAMPLE_V6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179\
     bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";
const SAMPLE_ID: TransactionId = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = [kind.to_be_bytes(), (value.len() as u16).to_be_bytes()].concat();
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn message(kind: u16, id: &TransactionId, attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes = attributes.concat();
    let mut out = [kind.to_be_bytes(), (attributes.len() as u16).to_be_bytes()].concat();
    out.extend_from_slice(&COOKIE.to_be_bytes());
    out.extend_from_slice(id);
    out.extend(attributes);
    out
}

fn address_value(address: SocketAddr) -> Vec<u8> {
    let (family, octets) = match address.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    [vec![0, family], address.port().to_be_bytes().to_vec(), octets].concat()
}

fn answer(id: &TransactionId, address: SocketAddr) -> Vec<u8> {
    message(BINDING_SUCCESS, id, &[attribute(XOR_MAPPED_ADDRESS, &address_value(xored(address, id)))])
}

#[test]
fn the_rfcs_samples_are_read() {
    let v4 = mapped_address(&bytes(SAMPLE_V4), &SAMPLE_ID);
    assert_eq!(v4, Ok("192.0.2.1:32853".parse().unwrap()));
    let v6 = mapped_address(&bytes(SAMPLE_V6), &SAMPLE_ID);
    assert_eq!(v6, Ok("[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()));
}

#[test]
fn a_request_is_twenty_bytes_with_the_cookie() {
    assert_eq!(request(&SAMPLE_ID)[..], bytes("000100002112a442b7e7a701bc34d686fa87dfae"));
}

#[test]
fn an_old_servers_plain_address_counts_only_without_a_hidden_one() {
    let (plain, hidden) = ("198.51.100.1:9".parse().unwrap(), "192.0.2.1:1".parse().unwrap());
    let old = attribute(MAPPED_ADDRESS, &address_value(plain));
    assert_eq!(
        mapped_address(&message(BINDING_SUCCESS, &SAMPLE_ID, std::slice::from_ref(&old)), &SAMPLE_ID),
        Ok(plain)
    );
    let new = attribute(XOR_MAPPED_ADDRESS, &address_value(xored(hidden, &SAMPLE_ID)));
    assert_eq!(mapped_address(&message(BINDING_SUCCESS, &SAMPLE_ID, &[old, new]), &SAMPLE_ID), Ok(hidden));
}

#[test]
fn a_refusal_an_unknown_demand_and_an_empty_answer_say_what_they_are() {
    let refusal = message(BINDING_ERROR, &SAMPLE_ID, &[attribute(ERROR_CODE, b"\0\0\x04\x14Bad")]);
    assert_eq!(mapped_address(&refusal, &SAMPLE_ID), Err(StunError::Refused(420)));
    let demand = message(BINDING_SUCCESS, &SAMPLE_ID, &[attribute(0x7001, b"now")]);
    assert_eq!(mapped_address(&demand, &SAMPLE_ID), Err(StunError::NotUnderstood(0x7001)));
    let empty = message(BINDING_SUCCESS, &SAMPLE_ID, &[]);
    assert_eq!(mapped_address(&empty, &SAMPLE_ID), Err(StunError::NoAddress));
    assert_eq!(mapped_address(&request(&SAMPLE_ID), &SAMPLE_ID), Err(StunError::NotOurs));
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

proptest! {
    #[test]
    fn every_address_survives_the_way(id: TransactionId, address in any_address()) {
        prop_assert_eq!(mapped_address(&answer(&id, address), &id), Ok(address));
    }

    #[test]
    fn an_answer_to_another_request_is_never_ours(id: TransactionId, other: TransactionId, address in any_address()) {
        prop_assume!(id != other);
        prop_assert_eq!(mapped_address(&answer(&id, address), &other), Err(StunError::NotOurs));
    }

    #[test]
    fn an_answer_that_is_cut_or_longer_than_it_says_is_refused(
        id: TransactionId, address in any_address(), cut in 1usize..32, more in 1usize..32,
    ) {
        let whole = answer(&id, address);
        prop_assert!(mapped_address(&whole[..whole.len() - cut], &id).is_err());
        let longer = [whole, vec![0; more]].concat();
        prop_assert_eq!(mapped_address(&longer, &id), Err(StunError::Broken));
    }

    #[test]
    fn unknown_optional_attributes_of_any_size_are_passed_over(
        id: TransactionId, address in any_address(), kind in 0x8000u16.., value: Vec<u8>,
    ) {
        let ours = attribute(XOR_MAPPED_ADDRESS, &address_value(xored(address, &id)));
        let padded = message(BINDING_SUCCESS, &id, &[attribute(kind, &value), ours]);
        prop_assert_eq!(mapped_address(&padded, &id), Ok(address));
    }

    #[test]
    fn no_bytes_make_it_panic(id: TransactionId, noise: Vec<u8>, kind: u16) {
        let _ = mapped_address(&noise, &id);
        let mut dressed = message(kind, &id, &[noise]);
        let length = ((dressed.len() - HEADER) as u16).to_be_bytes();
        dressed[2..4].copy_from_slice(&length);
        let _ = mapped_address(&dressed, &id);
    }
}
