use super::*;

#[test]
fn a_connection_has_half_a_minute_to_be_there() {
    let start = Instant::now();
    let watch = Watch::new(start);
    assert!(!watch.hangs(start + Duration::from_secs(30)));
    assert!(watch.hangs(start + Duration::from_secs(31)));
}

#[test]
fn without_a_heartbeat_for_two_and_a_half_it_hangs() {
    let start = Instant::now();
    let at = |secs| start + Duration::from_secs(secs);
    let mut watch = Watch::new(start);
    watch.ready(at(0));
    watch.beat(at(41));
    // How often they come is not known before the second.
    assert!(!watch.hangs(at(151)));
    watch.beat(at(82));
    assert!(!watch.hangs(at(186)), "two and a half times 41 s, and a little");
    assert!(watch.hangs(at(187)));
    // Whoever is taken back lives.
    watch.ready(at(187));
    assert!(!watch.hangs(at(187)));
}
