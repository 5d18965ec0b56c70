//! Lines that nobody would write, for every profile that is shipped, and profiles that nobody would.

use std::sync::{Arc, LazyLock};

use super::ear::{Ear, Heard};
use super::judge::Judged;
use super::profile::{Profile, Profiles};

/// The shipped profiles.
static SHIPPED: LazyLock<Vec<Arc<Profile>>> =
    LazyLock::new(|| Profiles::shipped().expect("a test reads them all").iter().cloned().collect());

/// Bytes as they come from a port, in pieces, to the lines that they are; what is believed of each is told.
pub fn lines(choice: u8, bytes: &[u8], mut believe: impl FnMut(Judged)) {
    let profile = &SHIPPED[usize::from(choice) % SHIPPED.len()];
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    let mut ear = Ear::new(profile);
    ear.hear(bytes, |heard| whole.push(heard));
    whole.extend(ear.cut());
    let mut ear = Ear::new(profile);
    for piece in bytes.chunks(usize::from(choice) % 7 + 1) {
        ear.hear(piece, |heard| pieces.push(heard));
    }
    pieces.extend(ear.cut());
    assert_eq!(whole, pieces, "it depends on how the bytes come");
    let heard: usize = whole.iter().map(size).sum();
    assert!(heard <= bytes.len());
    for heard in whole {
        if let Heard::Line(line) = heard {
            assert!(line.len() <= profile.bytes_max + profile.ends.len());
            believe(profile.judge(&line, "0"));
        }
    }
}

fn size(heard: &Heard) -> usize {
    match heard {
        Heard::Line(bytes) | Heard::Half(bytes) | Heard::Overlong(bytes) | Heard::Noise(bytes) => {
            bytes.len()
        }
    }
}

/// A profile, and what the probe makes of its text.
pub fn profile(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(profile) = Profile::read("fuzzed", &text) {
        for line in text.lines() {
            drop(profile.judge(line.as_bytes(), "0"));
        }
    }
    let lines: Vec<Vec<u8>> = text.lines().take(16).map(|line| line.as_bytes().to_vec()).collect();
    if let Some(guess) = super::guess(&lines, "", "x") {
        drop(Profile::read("guessed", &guess.profile));
    }
}
