use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_773_266_400_000);
const LATER: Timestamp = Timestamp::from_millis(1_773_266_400_000 + 31_000);

/// Somebody who signs, a station, and an image in three chunks.
struct Stand {
    dir: tempfile::TempDir,
    pair: Ed25519KeyPair,
    image: Vec<u8>,
}

impl Stand {
    fn new() -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let image = (0..2_500_u32).map(|n| (n * 31 % 251) as u8).collect();
        Self { dir: tempfile::tempdir().unwrap(), pair, image }
    }

    fn station(&self) -> Updater {
        let firmware = Firmware {
            keys: vec![hex(self.pair.public_key().as_ref())],
            dir: self.dir.path().to_owned(),
            model: "sl-200".to_owned(),
            version: "1.3.0".to_owned(),
            room: 10_000,
            bricks: vec![],
        };
        Updater::new("xuan-hoa", firmware)
    }

    fn offer(&self, model: &str, version: &str) -> Value {
        let (size, sha256) = (self.image.len(), hex(digest(&SHA256, &self.image).as_ref()));
        let text = format!(
            "saltline-firmware-1\nmodel: {model}\nversion: {version}\nsize: {size}\nsha256: {sha256}\n"
        );
        json!({
            "model": model, "version": version, "size": size, "sha256": sha256, "chunk": 1_000,
            "chunks": 3, "key": hex(digest(&SHA256, self.pair.public_key().as_ref()).as_ref())[..16],
            "signature": hex(self.pair.sign(text.as_bytes()).as_ref()),
        })
    }

    fn frame(&self, number: u32) -> Vec<u8> {
        let from = number as usize * 1_000;
        let bytes = &self.image[from..(from + 1_000).min(self.image.len())];
        let mut out = digest(&SHA256, &self.image).as_ref()[..8].to_vec();
        out.extend(number.to_be_bytes());
        out.extend(crc32fast::hash(bytes).to_be_bytes());
        out.extend(bytes);
        out
    }
}

fn offer(station: &mut Updater, offer: &Value) -> Vec<Word> {
    station.heed("firmware/offer", offer.to_string().as_bytes(), NOW)
}

fn states(words: &[Word]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    words
        .iter()
        .map(|(_, body)| format!("{} {}", text(&body["state"]), text(&body["why"])))
        .collect()
}

#[test]
fn an_image_is_fetched_proved_installed_and_run() {
    let stand = Stand::new();
    let mut station = stand.station();
    assert_eq!(states(&offer(&mut station, &stand.offer("sl-200", "1.4.0"))), ["downloading "]);
    let ask = station.tick(NOW, true, PATIENCE);
    assert_eq!((ask[0].0, &ask[0].1["from"], &ask[0].1["count"]), (ASK, &json!(0), &json!(3)));
    assert_eq!(station.tick(NOW, true, PATIENCE), [], "one question at a time");
    for number in 0..2 {
        assert_eq!(station.heed("firmware/chunk", &stand.frame(number), NOW), []);
    }
    let words = station.heed("firmware/chunk", &stand.frame(2), NOW);
    assert_eq!(states(&words), ["verified "]);
    assert_eq!(station.tick(NOW, false, PATIENCE), [], "the engine does not know it yet");
    assert!(!station.restarts(true));
    assert_eq!(states(&station.tick(NOW, true, PATIENCE)), ["installed "]);
    assert!(!station.restarts(false));
    assert!(station.restarts(true));
    assert_eq!(station.hello().1["version"], "1.4.0");
    assert_eq!(stand.station().hello().1["version"], "1.4.0", "after a power cut too");
    // Offered once more, it says what it runs.
    assert_eq!(states(&offer(&mut station, &stand.offer("sl-200", "1.4.0"))), ["running "]);
}

#[test]
fn a_power_cut_costs_no_chunk_that_was_written() {
    let stand = Stand::new();
    let mut station = stand.station();
    offer(&mut station, &stand.offer("sl-200", "1.4.0"));
    station.heed("firmware/chunk", &stand.frame(0), NOW);
    station.heed("firmware/chunk", &stand.frame(1), NOW);
    // The cut came in the middle of a write.
    let part = station.part();
    drop(station);
    let kept = std::fs::read(&part).unwrap();
    std::fs::write(&part, &kept[..kept.len() - 300]).unwrap();
    let mut station = stand.station();
    let words = offer(&mut station, &stand.offer("sl-200", "1.4.0"));
    assert_eq!(words[0].1["have"], 1);
    assert_eq!(station.tick(NOW, true, PATIENCE)[0].1["from"], 1);
    station.heed("firmware/chunk", &stand.frame(1), NOW);
    assert_eq!(states(&station.heed("firmware/chunk", &stand.frame(2), NOW)), ["verified "]);
}

#[test]
fn a_damaged_short_strange_or_early_chunk_is_asked_for_again() {
    let stand = Stand::new();
    let mut station = stand.station();
    offer(&mut station, &stand.offer("sl-200", "1.4.0"));
    station.tick(NOW, true, PATIENCE);
    let good = stand.frame(0);
    let mut flipped = good.clone();
    flipped[500] ^= 1;
    let mut other = good.clone();
    other[0] ^= 1;
    for bad in [&flipped[..], &good[..900], &other, &stand.frame(1), b"", &good[..15]] {
        assert_eq!(station.heed("firmware/chunk", bad, NOW), []);
        assert_eq!(station.have, 0);
    }
    assert_eq!(station.tick(LATER, true, PATIENCE)[0].1["from"], 0);
    station.heed("firmware/chunk", &good, NOW);
    assert_eq!(station.have, 1_000);
    station.heed("firmware/chunk", &good, NOW);
    assert_eq!(station.have, 1_000, "twice is once");
}

#[test]
fn what_is_not_meant_for_it_is_refused_before_a_byte_is_fetched() {
    let stand = Stand::new();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut said = stand.offer("sl-200", "1.4.0");
        change(&mut said);
        let mut station = stand.station();
        let words = offer(&mut station, &said);
        assert_eq!(station.tick(LATER, true, PATIENCE), []);
        std::fs::remove_file(stand.dir.path().join("xuan-hoa.json")).unwrap();
        states(&words).join("")
    };
    // An old image under a new version, another model's image as ours, another length, another's key.
    assert_eq!(refused(&|said| said["version"] = json!("9.0.0")), "failed bad_signature");
    assert_eq!(refused(&|said| *said = stand.offer("sl-100", "1.4.0")), "failed wrong_model");
    assert_eq!(refused(&|said| said["size"] = json!(9)), "failed bad_signature");
    assert_eq!(refused(&|said| said["key"] = json!("0123456789abcdef")), "failed unknown_key");
    assert_eq!(refused(&|said| said["signature"] = json!("zz")), "failed bad_signature");
    assert_eq!(refused(&|said| *said = stand.offer("sl-200", "1.2.9")), "failed downgrade");
    let mut large = Stand::new();
    large.image = vec![1; 10_001];
    let mut station = large.station();
    let words = offer(&mut station, &large.offer("sl-200", "1.4.0"));
    assert_eq!(states(&words), ["failed too_large"]);
    // The same offer gets the same answer, also after a restart.
    let words = offer(&mut large.station(), &large.offer("sl-200", "1.4.0"));
    assert_eq!(states(&words), ["failed too_large"]);
    assert_eq!(offer(&mut station, &json!({ "model": 5 })), []);
}

#[test]
fn bytes_that_are_not_what_was_signed_are_never_installed() {
    let mut stand = Stand::new();
    let mut station = stand.station();
    let said = stand.offer("sl-200", "1.4.0");
    let head = stand.frame(0)[..8].to_vec();
    offer(&mut station, &said);
    stand.image[1_500] ^= 1;
    let mut words = Vec::new();
    for _ in 0..TRIES {
        assert!(words.is_empty());
        for number in 0..3 {
            let mut frame = stand.frame(number);
            frame[..8].copy_from_slice(&head);
            words.extend(station.heed("firmware/chunk", &frame, NOW));
        }
    }
    assert_eq!(states(&words), ["failed bad_digest"]);
    assert!(!station.restarts(true));
}

#[test]
fn a_withdrawn_offer_is_let_go_and_a_lost_question_asked_again() {
    let stand = Stand::new();
    let mut station = stand.station();
    offer(&mut station, &stand.offer("sl-200", "1.4.0"));
    assert_eq!(station.tick(NOW, true, PATIENCE).len(), 1);
    assert_eq!(station.tick(LATER, true, PATIENCE).len(), 1);
    station.heed("firmware/refused", b"{\"reason\": \"out_of_range\"}", NOW);
    assert!(station.offer.is_some());
    station.heed("firmware/refused", b"{\"reason\": \"not_offered\"}", NOW);
    assert_eq!(station.tick(LATER, true, PATIENCE), []);
    offer(&mut station, &stand.offer("sl-200", "1.4.0"));
    station.heed("firmware/offer", b"", NOW);
    assert_eq!(station.tick(LATER, true, PATIENCE), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A line that loses, repeats, swaps, cuts and damages, and a station whose power goes at any moment: what it
    /// installs in the end is the image, or nothing.
    #[test]
    fn over_any_line_only_the_image_is_ever_installed(
        steps in proptest::collection::vec((0_u32..3, 0_u8..10, any::<u16>()), 1..60),
    ) {
        let stand = Stand::new();
        let mut station = stand.station();
        offer(&mut station, &stand.offer("sl-200", "1.4.0"));
        let mut proved = false;
        for (number, luck, at) in steps {
            let mut frame = stand.frame(number);
            let place = usize::from(at) % frame.len();
            match luck {
                0 => frame[place] ^= 1 << (at % 8),
                1 => frame.truncate(place),
                2 => frame.extend_from_slice(&at.to_be_bytes()),
                3 if !proved => {
                    station = stand.station();
                    offer(&mut station, &stand.offer("sl-200", "1.4.0"));
                }
                _ => {}
            }
            let words = station.heed("firmware/chunk", &frame, NOW);
            if states(&words) == ["verified "] {
                proved = true;
                let kept = std::fs::read(station.part()).unwrap();
                prop_assert_eq!(&kept[32..], &stand.image[..]);
            }
        }
        prop_assert_eq!(station.phase == Phase::Proved, proved);
        let next = station.tick(LATER, true, PATIENCE);
        prop_assert_eq!(states(&next), [if proved { "installed " } else { " " }]);
    }
}
