//! What was read, as a report and as text. The text is what stands beside a refusal in the dead letters: the registers
//! as they came, and what the profile made of them, so that it can be sent in again when the station's profile in the
//! book is mended.
//!
//! ```text
//! modbus 1
//! line bus-1 unit 7 profile sonde
//! time 2026-03-12T05:00:00.000Z
//! read 3 0 4 418B333341E8CCCD              function, first register, count, the bytes as they came
//! value salinity measuring 17.4 g/L        name, status, value after scaling or -, the unit (the rest of the line)
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use domain::raw::{Kind, Raw};
use domain::{Refusal, Report, Said, Stated, Status, Timestamp};

use crate::line::{self, put_time, put_values};

use super::profile::{Profile, StatusWord, Value, worse};
use super::wire::Block;

/// The first level of the topic under which Modbus readings are refused: `modbus/{line}/{unit}`.
pub const TOPIC: &str = "modbus";

/// The first line of the text.
const HEAD: &str = "modbus 1";

/// The blocks of one poll.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'a>(pub(super) &'a [(Block, Vec<u8>)]);

impl Blocks<'_> {
    /// The registers of this block, if all of them were read.
    fn words(&self, wanted: Block) -> Option<Vec<u16>> {
        let (block, bytes) = self.holding(wanted)?;
        let from = usize::from(wanted.first - block.first) * 2;
        let bytes = bytes.get(from..from + usize::from(wanted.count) * 2)?;
        Some(bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
    }

    /// The coil or discrete input, if it was read.
    fn bit(&self, wanted: Block) -> Option<bool> {
        let (block, bytes) = self.holding(wanted)?;
        let at = usize::from(wanted.first - block.first);
        Some(bytes.get(at / 8)? >> (at % 8) & 1 == 1)
    }

    fn holding(&self, wanted: Block) -> Option<&(Block, Vec<u8>)> {
        self.0.iter().find(|(block, _)| {
            block.function == wanted.function
                && block.first <= wanted.first
                && wanted.end() <= block.end()
        })
    }

    /// One register, or one bit as 0 or 1.
    fn word(&self, wanted: Block) -> Option<u16> {
        match wanted.function.is_bits() {
            true => self.bit(wanted).map(u16::from),
            false => self.words(wanted)?.first().copied(),
        }
    }
}

/// What the profile makes of these blocks. A value of which a part was not read is left out, and so is one whose status
/// was not read: nobody knows what it is worth.
pub(super) fn report<'a>(profile: &'a Profile, blocks: Blocks<'_>, at: Timestamp) -> Report<'a> {
    let said = |value: &'a Value| {
        let status = status(&profile.statuses, &value.name, blocks)?;
        let raw = raw(value, blocks)?;
        let number = (!is_absent(value, raw)).then(|| raw.number() * value.scale + value.offset);
        Some(Said {
            name: Cow::Borrowed(value.name.as_str()),
            value: number,
            unit: Some(Cow::Borrowed(value.unit.as_str())),
            status,
        })
    };
    let values = profile.values.iter().filter_map(said).collect();
    Report { taken: Stated::At(at), seq: None, replay: false, values }
}

fn status(statuses: &[StatusWord], name: &str, blocks: Blocks<'_>) -> Option<Status> {
    let mut found = Status::Measuring;
    for word in statuses.iter().filter(|word| word.is_of(name)) {
        let read = blocks.word(word.block())?;
        let turned = Raw::read(Kind::U16, word.order, &[read])?.number();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "16 bits")]
        let turned = if word.function.is_bits() { read } else { turned as u16 };
        found = worse(found, word.says(turned));
    }
    Some(found)
}

fn raw(value: &Value, blocks: Blocks<'_>) -> Option<Raw> {
    let block = value.block();
    if value.function.is_bits() {
        return blocks.bit(block).map(|on| Raw::Whole(on.into()));
    }
    let words = blocks.words(block)?;
    match value.bit {
        Some(bit) => {
            let word = Raw::read(Kind::U16, value.order, &words)?;
            let Raw::Whole(word) = word else { return None };
            Some(Raw::Whole(word >> bit & 1))
        }
        None => Raw::read(value.kind, value.order, &words),
    }
}

fn is_absent(value: &Value, raw: Raw) -> bool {
    value.absent.iter().any(|absent| absent.is(raw))
}

/// The text of a poll.
pub(super) fn text(head: &str, blocks: Blocks<'_>, report: &Report<'_>) -> Bytes {
    let mut out = format!("{HEAD}\n{head}\n");
    let put = &mut out;
    put_time(put, report);
    for (block, bytes) in blocks.0 {
        let function = block.function.number();
        // Writing to a text cannot fail.
        write!(put, "read {function} {} {} ", block.first, block.count).ok();
        for byte in bytes {
            write!(put, "{byte:02X}").ok();
        }
        put.push('\n');
    }
    put_values(put, report);
    Bytes::from(out)
}

/// Reads the text back, for a letter that is sent in again.
///
/// # Errors
/// A refusal where it is not such a text.
pub fn decode(payload: &[u8]) -> Result<Vec<Report<'static>>, Refusal> {
    line::decode(payload, HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::wire::Function;
    use domain::Reason;

    const PROFILE: &str = r#"
device = "A sonde"
source = "Made up for this test"
value = [
  { parameter = "salinity", function = 3, register = 0, type = "f32", unit = "g/L", absent = ["nan", -9999.9] },
  { parameter = "water_temperature", function = 3, register = 2, type = "i16", scale = 0.1, unit = "°C", absent = [0x7FFF] },
  { parameter = "ammonium", function = 3, register = 9, type = "u16", unit = "mg/L N" },
  { name = "Open", function = 1, register = 3, type = "bit", unit = "" },
  { name = "Door", function = 3, register = 3, type = "bit", bit = 15, unit = "" },
]
status = [{ function = 3, register = 3, fault = [0], calibrating = [1], of = ["salinity"] }]
"#;

    fn block(function: Function, first: u16, count: u16) -> Block {
        Block { function, first, count }
    }

    /// Four registers and the coils; ammonium was not answered.
    fn check(registers: [u16; 4]) -> Vec<(String, Option<f64>, Status)> {
        let profile = Profile::read("sonde", PROFILE).unwrap();
        let bytes = registers.iter().flat_map(|word| word.to_be_bytes()).collect();
        let blocks = [
            (block(Function::Holding, 0, 4), bytes),
            (block(Function::Coils, 0, 9), vec![0b1000, 0]),
        ];
        let at = Timestamp::from_millis(1_773_266_400_000);
        let report = report(&profile, Blocks(&blocks), at);
        let text = text("line a unit 1 profile sonde", Blocks(&blocks), &report);
        assert_eq!(decode(&text).unwrap(), std::slice::from_ref(&report));
        let said = |said: &Said<'_>| (said.name.to_string(), said.value, said.status);
        report.values.iter().map(said).collect()
    }

    #[test]
    fn registers_become_values_and_what_is_not_available_is_missing() {
        use Status::{Calibrating, Fault, Measuring};
        let of = |name: &str, value, status| (name.to_owned(), value, status);
        let rest = [of("Open", Some(1.0), Measuring), of("Door", Some(0.0), Measuring)];
        let found = check([0x418B, 0x3333, 0xFFDD, 0]);
        assert!((found[0].1.unwrap() - 17.4).abs() < 1e-6);
        assert_eq!(found[1], of("water_temperature", Some(-35.0 * 0.1), Measuring));
        assert_eq!(found[2..], rest);
        let nan = check([0x7FC0, 0, 0x7FFF, 0x8002]);
        assert_eq!(
            nan[..2],
            [of("salinity", None, Calibrating), of("water_temperature", None, Measuring)]
        );
        assert_eq!(nan[3].1, Some(1.0));
        let sentinel = (-9999.9_f32).to_be_bytes();
        let [high, low] = [0, 2].map(|at| u16::from_be_bytes([sentinel[at], sentinel[at + 1]]));
        assert_eq!(check([high, low, 0, 3])[0], of("salinity", None, Fault));
    }

    #[test]
    fn a_value_whose_status_was_not_read_is_left_out() {
        let profile = Profile::read("sonde", PROFILE).unwrap();
        let blocks = [(block(Function::Holding, 0, 3), vec![0; 6])];
        let report = report(&profile, Blocks(&blocks), Timestamp::from_millis(0));
        assert_eq!(report.values.len(), 1);
        assert_eq!(report.values[0].name, "water_temperature");
    }

    #[test]
    fn another_text_is_refused() {
        for bad in ["", "modbus 2\n", "modbus 1\nvalue a measuring 1 \n", "modbus 1\ntime now\n"] {
            assert_eq!(decode(bad.as_bytes()).unwrap_err().reason, Reason::Malformed, "{bad}");
        }
        assert!(decode(b"modbus 1\ntime 2026-03-12T05:00:00Z\nvalue ph odd 7\n").is_err());
        assert!(decode(b"\xff").is_err());
    }
}
