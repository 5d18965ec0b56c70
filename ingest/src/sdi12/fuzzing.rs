//! Answers of sensors that nobody would build.

use super::answer::{self, Address, Misread};

/// Reads an answer in every form there is.
pub fn answer(bytes: &[u8]) {
    let address = Address::parse("0").expect("a fixed address");
    for crc in [false, true] {
        match answer::values(address, bytes, crc) {
            Ok(values) => {
                assert!(
                    values.len() * 2 < bytes.len() + 1
                        && values.iter().all(|value| value.abs() < 1e7)
                );
                if crc {
                    let (body, said) = bytes.split_at(bytes.len() - 3);
                    assert_eq!(answer::check(body), said, "a wrong CRC was believed");
                }
            }
            Err(Misread::Address) => assert_ne!(bytes.first(), Some(&b'0')),
            Err(_) => (),
        }
    }
    for concurrent in [false, true] {
        if let Ok(begun) = answer::started(address, bytes, concurrent) {
            assert!(begun.within.as_secs() < 1_000 && begun.count < 100);
        }
    }
    if let Ok(identity) = answer::identity(address, bytes) {
        assert!(identity.vendor.len() <= 8 && identity.model.len() <= 6);
    }
    drop(answer::alone(address, bytes));
}
