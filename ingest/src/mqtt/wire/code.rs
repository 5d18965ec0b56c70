//! Reason codes of MQTT 5 (section 2.4), and which of them may stand in which of a client's packets.

pub(in crate::mqtt) const SUCCESS: u8 = 0x00;
pub(in crate::mqtt) const NO_SUBSCRIPTION_EXISTED: u8 = 0x11;
/// From here on a code is an error.
pub(in crate::mqtt) const UNSPECIFIED: u8 = 0x80;
pub(in crate::mqtt) const NOT_AUTHORIZED: u8 = 0x87;
pub(in crate::mqtt) const FILTER_INVALID: u8 = 0x8F;
pub(in crate::mqtt) const ID_NOT_FOUND: u8 = 0x92;
pub(in crate::mqtt) const QUOTA_EXCEEDED: u8 = 0x97;
pub(in crate::mqtt) const PAYLOAD_INVALID: u8 = 0x99;

pub(super) const fn is_of_puback(code: u8) -> bool {
    matches!(code, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
}

pub(super) const fn is_of_pubrel(code: u8) -> bool {
    matches!(code, 0x00 | ID_NOT_FOUND)
}

/// Table 3-13, the rows that a client may send.
pub(super) const fn is_of_clients_disconnect(code: u8) -> bool {
    matches!(code, 0x00 | 0x04 | 0x80..=0x83 | 0x90 | 0x93..=0x99)
}

pub(super) const fn is_of_clients_auth(code: u8) -> bool {
    matches!(code, 0x18 | 0x19)
}
