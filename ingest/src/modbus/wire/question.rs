//! What is asked, and which answer would fit it: the function, the number of bytes, and for a write its echo.

/// The four tables of a device, by the function that reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Function {
    /// 1: coils, bits that can be written.
    Coils,
    /// 2: discrete inputs, bits that cannot.
    Discrete,
    /// 3: holding registers.
    Holding,
    /// 4: input registers.
    Input,
}

impl Function {
    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Coils => 1,
            Self::Discrete => 2,
            Self::Holding => 3,
            Self::Input => 4,
        }
    }

    /// The function with this number.
    #[must_use]
    pub const fn of(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::Coils,
            2 => Self::Discrete,
            3 => Self::Holding,
            4 => Self::Input,
            _ => return None,
        })
    }

    /// Does it read single bits?
    #[must_use]
    pub const fn is_bits(self) -> bool {
        matches!(self, Self::Coils | Self::Discrete)
    }
}

/// Registers (or bits) that lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block {
    /// In which table.
    pub function: Function,
    /// The first, counted from 0 as on the wire.
    pub first: u16,
    /// How many.
    pub count: u16,
}

impl Block {
    /// Bytes of values in the answer.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        let count = self.count as usize;
        if self.function.is_bits() { count.div_ceil(8) } else { count * 2 }
    }

    /// What an answer shows of its question: two questions with one form cannot be told apart by their answers.
    #[must_use]
    pub const fn form(&self) -> (u8, usize) {
        (self.function.number(), self.bytes())
    }

    /// The first behind it.
    #[must_use]
    pub fn end(&self) -> u32 {
        u32::from(self.first) + u32::from(self.count)
    }
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// What stands there?
    Read(Block),
    /// Put this into one coil.
    SetBit(u16, bool),
    /// Put these into holding registers from the first on.
    Set(u16, Vec<u16>),
}

/// An answer, held against its question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It fits; the bytes of the values, none for a write.
    Fits(Vec<u8>),
    /// The device refuses, with this code.
    Exception(u8),
    /// It answers something else.
    Foreign,
}

impl Question {
    /// The question without address and check: a PDU.
    #[must_use]
    pub fn pdu(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8);
        match self {
            Self::Read(block) => {
                out.push(block.function.number());
                out.extend(block.first.to_be_bytes());
                out.extend(block.count.to_be_bytes());
            }
            Self::SetBit(at, on) => {
                out.push(5);
                out.extend(at.to_be_bytes());
                out.extend(if *on { [0xFF, 0] } else { [0, 0] });
            }
            Self::Set(at, words) if words.len() == 1 => {
                out.push(6);
                out.extend(at.to_be_bytes());
                out.extend(words[0].to_be_bytes());
            }
            Self::Set(at, words) => {
                let count =
                    u8::try_from(words.len()).expect("a profile writes 4 registers at most");
                out.push(16);
                out.extend(at.to_be_bytes());
                out.extend([0, count, count * 2]);
                out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            }
        }
        out
    }

    /// Bytes of the PDU of an answer that fits.
    #[must_use]
    pub fn answer_len(&self) -> usize {
        match self {
            Self::Read(block) => 2 + block.bytes(),
            Self::SetBit(..) | Self::Set(..) => 5,
        }
    }

    /// Holds the PDU of an answer against this question.
    #[must_use]
    pub fn judge(&self, pdu: &[u8]) -> Judged {
        let asked = self.pdu();
        match (self, pdu) {
            (_, [function, code]) if *function == asked[0] | 0x80 => Judged::Exception(*code),
            (Self::Read(block), [function, bytes, values @ ..])
                if *function == asked[0]
                    && usize::from(*bytes) == block.bytes()
                    && values.len() == block.bytes() =>
            {
                Judged::Fits(values.to_vec())
            }
            // A write is answered by its own first five bytes.
            (Self::SetBit(..) | Self::Set(..), echo) if *echo == asked[..5] => {
                Judged::Fits(Vec::new())
            }
            _ => Judged::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: Question =
        Question::Read(Block { function: Function::Holding, first: 105, count: 4 });

    #[test]
    fn only_the_answer_of_this_form_fits() {
        assert_eq!(FOUR.pdu(), [3, 0, 105, 0, 4]);
        assert_eq!(FOUR.answer_len(), 10);
        let good = [3, 8, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(FOUR.judge(&good), Judged::Fits(vec![1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(FOUR.judge(&[0x83, 2]), Judged::Exception(2));
        for foreign in [
            &good[..9],
            &[3, 6, 1, 2, 3, 4, 5, 6],
            &[4, 8, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x84, 2],
            &[],
        ] {
            assert_eq!(FOUR.judge(foreign), Judged::Foreign, "{foreign:?}");
        }
        let bits = Question::Read(Block { function: Function::Coils, first: 0, count: 9 });
        assert_eq!(bits.judge(&[1, 2, 0xFF, 1]), Judged::Fits(vec![0xFF, 1]));
    }

    #[test]
    fn a_write_is_answered_by_its_echo() {
        let one = Question::Set(7, vec![0x1234]);
        assert_eq!(one.pdu(), [6, 0, 7, 0x12, 0x34]);
        assert_eq!(one.judge(&[6, 0, 7, 0x12, 0x34]), Judged::Fits(vec![]));
        assert_eq!(one.judge(&[6, 0, 7, 0x12, 0x35]), Judged::Foreign);
        let two = Question::Set(7, vec![1, 2]);
        assert_eq!(two.pdu(), [16, 0, 7, 0, 2, 4, 0, 1, 0, 2]);
        assert_eq!(two.judge(&[16, 0, 7, 0, 2]), Judged::Fits(vec![]));
        assert_eq!(Question::SetBit(1, true).pdu(), [5, 0, 1, 0xFF, 0]);
        assert_eq!(two.judge(&[0x90, 3]), Judged::Exception(3));
    }
}
