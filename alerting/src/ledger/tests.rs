//! The format: what an old record reads as, and what is refused.

use super::*;

#[test]
fn a_record_reads_back_as_written() {
    let at = Timestamp::from_millis(1_773_267_000_123);
    let notice = NoticeId::from_text("r.s.7.0.ba-tu.sms");
    let bytes = Record::handed_over(&notice, vec!["a".to_owned(), "b".to_owned()]).encode(at);
    expect_test::expect![[r#"{"v":1,"at":1773267000123,"what":{"event":"handed_over","notice":"r.s.7.0.ba-tu.sms","references":["a","b"]}}"#]]
        .assert_eq(std::str::from_utf8(&bytes).unwrap());
    let (read_at, record) = Record::decode(&bytes, 0).unwrap();
    assert_eq!(read_at, at);
    assert!(matches!(record, Record::HandedOver { references, .. } if references.len() == 2));
}

#[test]
fn a_field_that_is_not_known_is_ignored_and_a_version_that_is_not_known_is_refused() {
    let newer_field = br#"{"v":1,"at":0,"x":1,"what":{"event":"given_up","notice":"n","why":"refused","detail":"","y":2}}"#;
    assert!(Record::decode(newer_field, 0).is_ok());
    let newer = br#"{"v":2,"at":0,"what":{"event":"brand_new"}}"#;
    assert!(matches!(
        Record::decode(newer, 9),
        Err(LedgerError::Newer { position: 9, version: 2 })
    ));
    let unknown = br#"{"v":1,"at":0,"what":{"event":"brand_new"}}"#;
    assert!(matches!(Record::decode(unknown, 9), Err(LedgerError::Malformed { position: 9, .. })));
    assert!(matches!(Record::decode(b"{", 0), Err(LedgerError::Malformed { .. })));
}
