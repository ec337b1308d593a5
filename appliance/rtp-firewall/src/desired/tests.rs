use super::*;

fn nets(list: &[&str]) -> Vec<IpNet> {
    list.iter().map(|net| net.parse().unwrap()).collect()
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn desired() -> Desired {
    let mut desired = Desired::new(&nets(&["192.168.0.0/16"]));
    desired.set_peers(Peers { trunks: nets(&["203.0.113.0/28"]), phones: nets(&["198.51.100.7/32"]) }).unwrap();
    desired
}

fn ban(address: &str, seconds: u32) -> NewBan {
    NewBan { address: address.parse().unwrap(), seconds, reason: "scans".into() }
}

#[test]
fn a_ban_ends_when_its_time_is_over() {
    let mut desired = desired();
    let made = desired.ban(ban("198.51.100.66", 60), after(0)).unwrap();
    assert_eq!(made.until, after(60));
    assert!(!desired.expire(after(59)));
    assert_eq!(desired.bans, [made]);
    assert!(!desired.expire(after(60)), "the kernel ends it by itself");
    assert!(desired.bans.is_empty());
}

#[test]
fn a_second_ban_of_an_address_takes_the_place_of_the_first() {
    let mut desired = desired();
    desired.ban(ban("198.51.100.66", 60), after(0)).unwrap();
    desired.ban(ban("::ffff:198.51.100.66", 600), after(10)).unwrap();
    let until: Vec<_> = desired.bans.iter().map(|ban| ban.until).collect();
    assert_eq!(until, [after(610)]);
}

#[test]
fn trunks_and_managers_are_never_banned() {
    let mut desired = desired();
    let trunk = "203.0.113.9".parse().unwrap();
    assert_eq!(desired.ban(ban("203.0.113.9", 60), after(0)), Err(Refused::BansTrunk(trunk)));
    assert_eq!(desired.ban(ban("::ffff:203.0.113.9", 60), after(0)), Err(Refused::BansTrunk(trunk)));
    let manager = "192.168.1.1".parse().unwrap();
    assert_eq!(desired.ban(ban("192.168.1.1", 60), after(0)), Err(Refused::BansManagement(manager)));
}

#[test]
fn whoever_manages_on_trial_or_after_it_is_not_banned() {
    let mut desired = desired();
    desired.set_management(nets(&["198.51.100.0/24"]), after(0)).unwrap();
    assert!(desired.ban(ban("198.51.100.66", 60), after(1)).is_err());
    assert!(desired.ban(ban("192.168.1.1", 60), after(1)).is_err());
}

#[test]
fn a_banned_address_that_becomes_a_trunk_is_let_in() {
    let mut desired = desired();
    desired.ban(ban("198.51.100.66", 600), after(0)).unwrap();
    desired.set_peers(Peers { trunks: nets(&["198.51.100.64/26"]), phones: vec![] }).unwrap();
    assert!(desired.bans.is_empty());
}

#[test]
fn loopback_and_multicast_cannot_be_banned_nor_anybody_for_ever() {
    let mut desired = desired();
    for address in ["127.0.0.1", "::1", "0.0.0.0", "224.0.0.1", "ff02::1"] {
        assert_eq!(desired.ban(ban(address, 60), after(0)), Err(Refused::NotAHost(address.parse().unwrap())));
    }
    assert_eq!(desired.ban(ban("198.51.100.66", 0), after(0)), Err(Refused::BanLength(0)));
    assert_eq!(desired.ban(ban("198.51.100.66", u32::MAX), after(0)), Err(Refused::BanLength(u32::MAX)));
}

#[test]
fn more_bans_than_the_table_should_hold_are_refused() {
    let mut desired = desired();
    for number in 0..MOST_BANS as u32 {
        let address = IpAddr::V4((0x0b00_0000 + number).into());
        desired.ban(NewBan { address, seconds: 60, reason: String::new() }, after(0)).unwrap();
    }
    assert_eq!(desired.ban(ban("198.51.100.66", 60), after(0)), Err(Refused::TooManyBans(MOST_BANS)));
    assert!(desired.ban(ban("198.51.100.66", 60), after(60)).is_ok(), "the old ones are over");
}

#[test]
fn lifting_a_ban_that_is_not_there_says_so() {
    let mut desired = desired();
    let address = "198.51.100.66".parse().unwrap();
    assert_eq!(desired.unban(address), Err(Refused::NotBanned(address)));
    desired.ban(ban("198.51.100.66", 60), after(0)).unwrap();
    desired.unban(address).unwrap();
    assert!(desired.bans.is_empty());
}

#[test]
fn ssh_closes_by_itself() {
    let mut desired = desired();
    desired.set_ssh(Some(after(3600)), after(0)).unwrap();
    assert_eq!(desired.next_change(), Some(after(3600)));
    assert!(!desired.expire(after(3599)));
    assert!(desired.expire(after(3600)));
    assert_eq!((desired.ssh_until, desired.next_change()), (None, None));
}

#[test]
fn ssh_is_never_open_longer_than_eight_hours() {
    let mut desired = desired();
    let eight_hours = 8 * 3600;
    assert_eq!(
        desired.set_ssh(Some(after(eight_hours + 1)), after(0)),
        Err(Refused::SshTooLong(after(eight_hours + 1)))
    );
    assert_eq!(desired.set_ssh(Some(after(0)), after(0)), Err(Refused::SshOver(after(0))));
    desired.set_ssh(Some(after(eight_hours)), after(0)).unwrap();
    assert!(desired.expire(after(-1)), "a clock that was set back closes it");
}

#[test]
fn an_edited_configuration_wins_over_what_was_set_on_the_socket() {
    let mut desired = desired();
    desired.set_management(nets(&["192.168.0.0/16", "10.0.0.0/8"]), after(0)).unwrap();
    desired.reconfigure(&nets(&["192.168.0.0/16"]));
    assert_eq!(desired.management.networks.len(), 2, "not edited");
    desired.reconfigure(&nets(&["172.16.0.0/12"]));
    assert_eq!(desired.management.networks, nets(&["172.16.0.0/12"]));
}

#[test]
fn the_first_of_two_changes_is_next() {
    let mut desired = desired();
    desired.set_ssh(Some(after(60)), after(0)).unwrap();
    desired.set_management(nets(&["192.168.1.0/24"]), after(0)).unwrap();
    assert_eq!(desired.next_change(), Some(after(60)));
    assert!(desired.expire(after(60)));
    assert_eq!(desired.next_change(), Some(after(120)));
}
