//! What the SMSC says became of a message: a `deliver_sm` marked as a receipt (esm_class bits 5-2 = 0001), with the
//! message's id and state in parameters, or in the text of SMPP 3.4 appendix B: `id:… … stat:DELIVRD err:000 …`.

use rusmpp::pdus::DeliverSm;
use rusmpp::tlvs::TlvValue;
use rusmpp::values::MessageState;

/// The bits of esm_class that name the message's type (SMPP 3.4 §5.2.12).
const TYPE_BITS: u8 = 0b0011_1100;
const RECEIPT_BITS: u8 = 0b0000_0100;

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The SMSC's name of the message.
    pub reference: String,
    /// What became of it.
    pub fate: Fate,
    /// In the SMSC's words.
    pub detail: String,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The phone has it.
    Delivered,
    /// It will not arrive.
    Lost,
    /// Not decided yet.
    OnTheWay,
}

impl Fate {
    /// The word in logs and counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Lost => "lost",
            Self::OnTheWay => "on_the_way",
        }
    }
}

/// Reads a receipt; `None` where the `deliver_sm` is a message from a phone, or names no message.
pub(super) fn read(deliver: &DeliverSm) -> Option<Receipt> {
    if u8::from(deliver.esm_class) & TYPE_BITS != RECEIPT_BITS {
        return None;
    }
    let text = String::from_utf8_lossy(deliver.short_message().as_ref()).into_owned();
    let (id, state) = parameters(deliver);
    let reference = id.or_else(|| field(&text, "id:").map(str::to_owned))?;
    let stat = field(&text, "stat:").unwrap_or_default().to_owned();
    let fate = state.map_or_else(|| fate_of_word(&stat), fate_of_state);
    let error = field(&text, "err:").unwrap_or("-");
    let word = if stat.is_empty() { format!("{state:?}") } else { stat };
    Some(Receipt { reference, fate, detail: clean(&format!("{word} err {error}")) })
}

fn parameters(deliver: &DeliverSm) -> (Option<String>, Option<MessageState>) {
    let values = || deliver.tlvs().iter().filter_map(|tlv| tlv.value());
    let id = values().find_map(|value| match value {
        TlvValue::ReceiptedMessageId(id) => Some(id.as_str().to_owned()),
        _ => None,
    });
    let state = values().find_map(|value| match value {
        TlvValue::MessageState(state) => Some(*state),
        _ => None,
    });
    (id.filter(|id| !id.is_empty()), state)
}

/// The word after a key. Keys are matched without regard to case; the key of appendix B ends with its colon.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_ascii_whitespace()
        .find(|word| word.get(..key.len()).is_some_and(|start| start.eq_ignore_ascii_case(key)))
        .map(|word| &word[key.len()..])
        .filter(|value| !value.is_empty())
}

/// ACCEPTD is "read on behalf of the subscriber by customer service" in the standard and "we have it" at many an SMSC:
/// neither is the keeper's phone.
fn fate_of_word(stat: &str) -> Fate {
    match stat.to_ascii_uppercase().as_str() {
        "DELIVRD" => Fate::Delivered,
        "EXPIRED" | "DELETED" | "UNDELIV" | "REJECTD" => Fate::Lost,
        _ => Fate::OnTheWay,
    }
}

fn fate_of_state(state: MessageState) -> Fate {
    match state {
        MessageState::Delivered => Fate::Delivered,
        MessageState::Expired
        | MessageState::Deleted
        | MessageState::Undeliverable
        | MessageState::Rejected
        | MessageState::Skipped => Fate::Lost,
        _ => Fate::OnTheWay,
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}
