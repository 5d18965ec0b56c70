//! Bytes to lines. What is no line is told for what it is, with its bytes: half a line, an endless one, noise.

use super::profile::Profile;

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A line, without what it begins and ends with.
    Line(Vec<u8>),
    /// A part of one: its beginning was not heard, or it stopped in the middle.
    Half(Vec<u8>),
    /// More bytes than a line has, and no end. What follows until the next end is thrown away.
    Overlong(Vec<u8>),
    /// Bytes that no line has.
    Noise(Vec<u8>),
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Ear {
    begins: Option<u8>,
    ends: Vec<u8>,
    most: usize,
    /// Control characters that lines have.
    marks: Vec<u8>,
    held: Vec<u8>,
    /// An endless line goes on.
    drowning: bool,
    /// The beginning of what is held was not heard, and nothing of it would show that.
    unsure: bool,
}

impl Ear {
    /// An ear for lines of this profile, at a port that was just opened.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        let check = profile.check.iter().flat_map(|check| check.mark.iter().copied());
        Self {
            begins: profile.begins,
            ends: profile.ends.clone(),
            most: profile.bytes_max,
            marks: check.collect(),
            held: Vec::new(),
            drowning: false,
            unsure: !profile.shows_its_beginning(),
        }
    }

    /// An ear for lines of which nothing is known.
    #[must_use]
    pub fn open(most: usize) -> Self {
        Self {
            begins: None,
            ends: b"\n".to_vec(),
            most,
            marks: vec![0x02, 0x03],
            held: Vec::new(),
            drowning: false,
            unsure: true,
        }
    }

    /// The line was silent: what comes now is a beginning.
    pub fn rested(&mut self) {
        if self.held.is_empty() {
            self.unsure = false;
        }
    }

    /// Is it in the middle of a line?
    #[must_use]
    pub fn is_in_a_line(&self) -> bool {
        self.drowning || !self.held.trim_ascii().is_empty()
    }

    /// Hears more.
    pub fn hear(&mut self, bytes: &[u8], mut tell: impl FnMut(Heard)) {
        for &byte in bytes {
            self.held.push(byte);
            if self.held.ends_with(&self.ends) {
                let end = self.held.len() - self.ends.len();
                let held = std::mem::take(&mut self.held);
                if !std::mem::take(&mut self.drowning) {
                    self.line(&held[..end], &mut tell);
                }
                self.unsure = false;
            } else if self.drowning && Some(byte) == self.begins {
                (self.drowning, self.held) = (false, vec![byte]);
            } else if self.most + self.ends.len() < self.held.len() {
                self.overflow(&mut tell);
            }
        }
    }

    /// The line paused in the middle, or was closed.
    pub fn cut(&mut self) -> Option<Heard> {
        let held = std::mem::take(&mut self.held);
        let drowned = std::mem::take(&mut self.drowning);
        match held.trim_ascii().is_empty() || drowned {
            true => None,
            false if self.is_text(&held) => Some(Heard::Half(held)),
            false => Some(Heard::Noise(held)),
        }
    }

    fn overflow(&mut self, tell: &mut impl FnMut(Heard)) {
        let held = std::mem::take(&mut self.held);
        if self.drowning {
            // The end may have begun.
            self.held = held[held.len() + 1 - self.ends.len()..].to_vec();
            return;
        }
        // Behind the last beginning a line may be under way that is whole.
        match self.last_beginning(&held).filter(|at| 0 < *at) {
            Some(at) => {
                tell(self.broken(held[..at].to_vec()));
                self.held = held[at..].to_vec();
            }
            None => {
                tell(Heard::Overlong(held));
                self.drowning = true;
            }
        }
    }

    fn line(&self, held: &[u8], tell: &mut impl FnMut(Heard)) {
        let held = held.strip_suffix(b"\r").unwrap_or(held);
        if held.trim_ascii().is_empty() {
            return;
        }
        let (before, line) = match (self.begins, self.last_beginning(held)) {
            (None, _) => (&held[..0], held),
            (Some(_), Some(at)) => (&held[..at], &held[at + 1..]),
            (Some(_), None) => (held, &held[..0]),
        };
        if !before.trim_ascii().is_empty() {
            tell(self.broken(before.to_vec()));
        }
        if line.is_empty() {
            return;
        }
        tell(match (self.is_text(line), self.unsure) {
            (true, false) => Heard::Line(line.to_vec()),
            (true, true) => Heard::Half(line.to_vec()),
            (false, _) => Heard::Noise(line.to_vec()),
        });
    }

    fn broken(&self, bytes: Vec<u8>) -> Heard {
        if self.is_text(&bytes) { Heard::Half(bytes) } else { Heard::Noise(bytes) }
    }

    fn last_beginning(&self, held: &[u8]) -> Option<usize> {
        self.begins.and_then(|begins| held.iter().rposition(|byte| *byte == begins))
    }

    /// Is it text, as lines have it? Another speed than the device's, or a bad wire, makes other bytes.
    fn is_text(&self, bytes: &[u8]) -> bool {
        let fits = |c: char| {
            !c.is_control()
                || c == '\t'
                || u8::try_from(c)
                    .is_ok_and(|c| c == b'\r' || self.marks.contains(&c) || Some(c) == self.begins)
        };
        std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn profile(more: &str) -> Profile {
        let text = format!(
            "device = \"x\"\nsource = \"y\"\n{more}\n[[sentence]]\nwords = 1\n\
             value = [{{ parameter = \"ph\", word = 0, unit = \"\" }}]"
        );
        Profile::read("x", &text).unwrap()
    }

    fn all(ear: &mut Ear, bytes: &[u8]) -> Vec<String> {
        let mut told = Vec::new();
        ear.hear(bytes, |heard| told.push(show(&heard)));
        told
    }

    fn show(heard: &Heard) -> String {
        let (what, bytes) = match heard {
            Heard::Line(bytes) => ("line", bytes),
            Heard::Half(bytes) => ("half", bytes),
            Heard::Overlong(bytes) => ("overlong", bytes),
            Heard::Noise(bytes) => ("noise", bytes),
        };
        format!("{what} {}", bytes.escape_ascii())
    }

    #[test]
    fn lines_are_found_however_they_are_cut_and_the_first_is_not_trusted_without_a_beginning() {
        let mut ear = Ear::new(&profile(""));
        assert_eq!(all(&mut ear, b"5.3,7\r\n\r\n25.3,7.1\r\n25"), ["half 5.3,7", "line 25.3,7.1"]);
        assert!(ear.is_in_a_line());
        assert_eq!(all(&mut ear, b".4,7\n\xff\x00,1\n"), ["line 25.4,7", "noise \\xff\\x00,1"]);
        assert_eq!(all(&mut ear, b"26"), Vec::<String>::new());
        assert_eq!(ear.cut().as_ref().map(show).unwrap(), "half 26");
        assert_eq!(ear.cut(), None);
        let mut ear = Ear::new(&profile(""));
        ear.rested();
        assert_eq!(all(&mut ear, b"5.3,7\n"), ["line 5.3,7"], "silence came before it");
    }

    #[test]
    fn a_beginning_finds_the_line_behind_half_a_line_and_noise() {
        let mut ear = Ear::new(&profile("begins = \"$\"\nbytes_max = 16"));
        assert_eq!(all(&mut ear, b"A*28\r\n$A,1*5\r\n"), ["half A*28", "line A,1*5"]);
        assert_eq!(
            all(&mut ear, b"$A,1$A,2\n\x80\x81$A,3\n"),
            ["half $A,1", "line A,2", "noise \\x80\\x81", "line A,3"]
        );
        let endless = all(&mut ear, b"$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa$A,4\n");
        assert_eq!(endless, ["overlong $aaaaaaaaaaaaaaaaa", "line A,4"]);
    }

    #[test]
    fn an_endless_line_is_told_once_and_its_end_is_thrown_away() {
        let mut ear = Ear::new(&profile("bytes_max = 8\nends = \"\\r\\n\""));
        ear.rested();
        let told = all(&mut ear, &[b'x'; 1_000]);
        assert_eq!(told, ["overlong xxxxxxxxxxx"]);
        assert_eq!(all(&mut ear, b"xx\r\n1,2\r\n"), ["line 1,2"]);
        assert!(!ear.is_in_a_line());
    }

    proptest! {
        /// Whole lines come through whatever the reads were, and nothing is held beyond a line.
        #[test]
        fn lines_do_not_depend_on_how_bytes_come(
            lines in prop::collection::vec("[ -~]{1,20}", 1..9), cuts in prop::collection::vec(1_usize..7, 1..40),
        ) {
            let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let mut ear = Ear::new(&profile("bytes_max = 24"));
            ear.rested();
            let (mut told, mut rest) = (Vec::new(), text.as_bytes());
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                ear.hear(now, |heard| told.push(heard));
                prop_assert!(ear.held.len() <= 26);
                if later.is_empty() { break }
                rest = later;
            }
            let wanted: Vec<_> = lines.iter().filter(|line| !line.trim().is_empty())
                .map(|line| Heard::Line(line.clone().into_bytes())).collect();
            prop_assert_eq!(told, wanted);
        }
    }
}
