//! Messages in somebody else's words: whose they are, and the way into the batch.
//!
//! A station that logged in at our door speaks for itself, whatever format it speaks. A gateway, or somebody else's
//! broker, speaks of others by names of its own; the book says which station a name means ([`Stations`]).
//!
//! What a payload is: what its topic says, or its content type, or the upstream's settings; else the station's profile;
//! else it is our own report. Whoever is asked first and says something is believed.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use domain::{Format, Reason, Refusal, Report, Stated, Station};

use crate::formats::shape::{Shape, Way};
use crate::formats::sparkplug::{Ask, Heard, Nodes};
use crate::formats::{chirpstack, chirpstack_device, json, thingsboard};
use crate::intake::{Answer, Batch, Came, Intake, Pass, of_unknown_age};

/// Who speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Speaker<'a> {
    /// A station for itself.
    Itself(&'a Pass),
    /// A gateway at our door: for those that the book says are known by its names.
    Gateway,
    /// Somebody else's broker, for whoever stands in the topic here, by its own code too: it is trusted for all.
    Broker(Option<&'a str>),
}

/// A message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a Bytes,
    /// Did a broker keep it from before?
    pub(crate) retained: bool,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Told {
    /// `None` where there was nothing to store.
    pub(crate) answer: Option<Answer>,
    /// Something to publish where it came from.
    pub(crate) ask: Option<Ask>,
}

impl Intake {
    /// Reads and settles what a station published on its own topic for readings, with the content type that it said.
    pub(crate) fn hear(
        &self,
        pass: &Pass,
        topic: &str,
        said: Option<Shape>,
        payload: &Bytes,
        batch: &mut Batch,
    ) -> Answer {
        // A connection stands for months; its station's profile is mended meanwhile.
        let now = self.stations().get(pass.station.code.as_str()).map(|station| Pass { station });
        let pass = now.as_ref().unwrap_or(pass);
        let own = pass.station.profile.format.unwrap_or(Format::Json);
        let (shape, topic) = match said {
            _ if own == Format::Json && said.is_none_or(|shape| shape.format == own) => {
                return self.take(pass, topic, payload, batch);
            }
            Some(shape) => (shape, None),
            None => (own.into(), Some(topic)),
        };
        let whose = |name: Option<&str>| pass.speaks_of(name);
        let came = Came { shape, way: Way::Mqtt, topic, retained: false };
        self.take_body(Some(pass), whose, came, payload, batch).answer()
    }

    /// Reads and settles a message into the batch. `format` is what the topic or the settings say of it, if they say
    /// anything.
    pub(crate) fn tell(
        &self,
        format: Option<Format>,
        nodes: &Nodes,
        speaker: Speaker<'_>,
        message: Message<'_>,
        batch: &mut Batch,
    ) -> Told {
        let Message { topic, payload, .. } = message;
        if format == Some(Format::Sparkplug) {
            let (heard, ask) = nodes.hear(topic, payload, self.now());
            let answer = match heard {
                Heard::Nothing => None,
                Heard::Refused(refusal) => Some(self.turn_away(None, message, refusal, batch)),
                Heard::Reports { name, reports } => {
                    Some(self.take_of(self.whose(speaker, &name), message, Ok(reports), batch))
                }
            };
            return Told { answer, ask };
        }
        let station = match speaker {
            Speaker::Itself(pass) => Ok(pass.clone()),
            Speaker::Gateway => self.whose(speaker, chirpstack_device(topic).unwrap_or_default()),
            Speaker::Broker(name) => self.whose(speaker, name.unwrap_or_default()),
        };
        let profile = station.as_ref().ok().map(|pass| &pass.station.profile);
        let own = profile.and_then(|profile| profile.format).unwrap_or(Format::Json);
        let reports = match format.unwrap_or(own) {
            Format::ThingsBoard if format.is_some() => thingsboard::decode(payload),
            Format::ChirpStack => {
                let device = chirpstack_device(topic).unwrap_or_default();
                chirpstack::decode(payload, device, profile.map_or(&[], |it| &it.layout))
            }
            Format::Json if own == Format::Json => json::decode(payload),
            other => match &station {
                Ok(pass) => {
                    let whose = |name: Option<&str>| pass.speaks_of(name);
                    let (shape, retained) = (Shape::from(other), message.retained);
                    let topic = format.is_none().then_some(topic);
                    let came = Came { shape, way: Way::Mqtt, topic, retained };
                    let taken = self.take_body(Some(pass), whose, came, payload, batch);
                    return Told { answer: Some(taken.answer()), ask: None };
                }
                Err(refusal) => Err(refusal.clone()),
            },
        };
        Told { answer: Some(self.take_of(station, message, reports, batch)), ask: None }
    }

    fn take_of(
        &self,
        station: Result<Pass, Refusal>,
        message: Message<'_>,
        reports: Result<Vec<Report<'_>>, Refusal>,
        batch: &mut Batch,
    ) -> Answer {
        let pass = match station {
            Ok(pass) => pass,
            Err(refusal) => return self.turn_away(None, message, refusal, batch),
        };
        match reports.and_then(|reports| known_age(reports, message.retained)) {
            Ok(reports) => {
                self.take_reports(&pass, message.topic, message.payload, &reports, batch)
            }
            Err(refusal) => self.turn_away(Some(&pass), message, refusal, batch),
        }
    }

    fn turn_away(
        &self,
        pass: Option<&Pass>,
        message: Message<'_>,
        refusal: Refusal,
        batch: &mut Batch,
    ) -> Answer {
        self.refuse(pass, message.topic, message.payload, &refusal, batch);
        Answer::Refused(refusal)
    }

    /// The station that this name means.
    fn whose(&self, speaker: Speaker<'_>, name: &str) -> Result<Pass, Refusal> {
        let known = self.stations().known_as(name);
        let found: Option<Arc<Station>> = match speaker {
            Speaker::Broker(_) => known.or_else(|| {
                // A Sparkplug device stands below its group and node; its own name may be the code.
                self.stations().get(name.rsplit('/').next().unwrap_or_default())
            }),
            Speaker::Itself(_) | Speaker::Gateway => known,
        };
        let station = found.ok_or_else(|| {
            let name: Cow<'_, str> = json::shorten(name);
            let detail = format!("no station is known as `{name}`; say it in its `known_as`");
            Refusal { reason: Reason::UnknownStation, detail }
        })?;
        Ok(Pass { station })
    }
}

fn known_age(reports: Vec<Report<'_>>, retained: bool) -> Result<Vec<Report<'_>>, Refusal> {
    match retained && reports.iter().any(|report| report.taken == Stated::OnArrival) {
        true => Err(of_unknown_age()),
        false => Ok(reports),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::{ADMIT, ParameterTable, example_station};
    use crate::deadletter::DeadLetter;
    use crate::formats::bytes::tests::{dds75, field};
    use domain::raw::Kind;
    use domain::{Clock, Profile, Timestamp};
    use journal::Journal;

    const READINGS: &str = "stations/xuan-hoa/readings";
    const JSON: &str = r#"{"values":{"ph":7}}"#;
    const CSV: &str = "time,ph\n2026-03-12 04:59:00,7\n";
    const SENML: &str = r#"[{"n":"ph","v":7}]"#;

    struct Held;
    impl Clock for Held {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_773_266_400_000)
        }
    }

    struct Stand {
        intake: Intake,
        dead: Journal,
        _dir: tempfile::TempDir,
    }

    fn stand() -> Stand {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            Journal::open(&dir.path().join(name), &journal::Config::default()).unwrap()
        };
        let (journal, dead) = (open("journal"), open("dead"));
        let table = ParameterTable::new(&domain::standard_parameters());
        let intake = Intake::new(journal, dead.clone(), table, ADMIT, Arc::new(Held));
        Stand { intake, dead, _dir: dir }
    }

    fn pass(format: Option<Format>, layout: Vec<domain::LayoutField>) -> Pass {
        let profile = Profile { format, layout, utc_offset_s: Some(25_200), ..Profile::default() };
        Pass { station: Arc::new(Station { profile, ..example_station() }) }
    }

    impl Stand {
        fn hear(
            &self,
            pass: &Pass,
            said: Option<&str>,
            payload: &[u8],
            batch: &mut Batch,
        ) -> Answer {
            let said = said.and_then(Shape::of_content_type);
            let payload = Bytes::copy_from_slice(payload);
            self.intake.hear(pass, READINGS, said, &payload, batch)
        }

        /// The letters that are kept, as reason and topic.
        fn letters(&self, batch: Batch) -> Vec<DeadLetter> {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(self.intake.commit(batch)).unwrap();
            let kept = self.dead.read(0, 1 << 20).unwrap();
            kept.iter().map(|(_, bytes)| DeadLetter::decode(bytes).unwrap()).collect()
        }
    }

    #[test]
    fn a_content_type_goes_before_the_profile_and_the_profile_before_our_own_report() {
        let (stand, all) = (stand(), Answer::Stored { refused: None });
        let (csv, json) = (Some("text/csv"), Some("application/json"));
        let (table, senml) = (Some(Format::Table), Some(Format::SenmlJson));
        for (profile, said, payload, is_read) in [
            (None, None, JSON, true),
            (None, None, CSV, false),
            (None, csv, CSV, true),
            (table, None, CSV, true),
            (table, None, JSON, false),
            (table, json, JSON, true),
            (table, json, CSV, false),
            (table, Some("text/html"), CSV, true),
            (senml, None, SENML, true),
            (senml, csv, CSV, true),
            (senml, csv, SENML, false),
            (Some(Format::Json), None, JSON, true),
            (Some(Format::ThingsBoard), None, r#"{"ph":7,"on":true}"#, true),
        ] {
            let pass = pass(profile, Vec::new());
            let answer = stand.hear(&pass, said, payload.as_bytes(), &mut Batch::default());
            assert_eq!(answer == all, is_read, "{profile:?} {said:?} {payload} {answer:?}");
        }
    }

    #[test]
    fn what_the_profile_could_not_read_goes_in_when_it_is_mended() {
        let stand = stand();
        let mut batch = Batch::default();
        let payload = [0x02, 0xC6];
        // Nothing said what it is; the wrong format was said; no layout; a layout that wants more than came.
        let long = vec![field(0, Kind::U32, "ph")];
        for (format, layout) in [
            (None, vec![]),
            (Some(Format::SenmlCbor), vec![]),
            (Some(Format::Bytes), vec![]),
            (Some(Format::Bytes), dds75()),
            (Some(Format::Bytes), long),
        ] {
            let answer = stand.hear(&pass(format, layout), None, &payload, &mut batch);
            assert!(matches!(answer, Answer::Refused(_)), "{format:?} {answer:?}");
        }
        let letters = stand.letters(batch);
        let reasons: Vec<_> = letters.iter().map(|letter| letter.reason).collect();
        let (malformed, none) = (Reason::Malformed, Reason::NoLayout);
        assert_eq!(reasons, [malformed, malformed, none, none, malformed]);
        let layout = domain::LayoutField { scale: 0.01, ..field(0, Kind::U16, "ph") };
        let mended = pass(Some(Format::Bytes), vec![layout]);
        for letter in &letters {
            assert_eq!((letter.topic.as_str(), &letter.payload[..]), (READINGS, &payload[..]));
            let answer = stand.intake.retake(&mended, letter, None, &mut Batch::default());
            assert_eq!(answer, Answer::Stored { refused: None });
        }
    }

    #[test]
    fn what_a_content_type_said_is_read_so_again_whatever_the_profile_says() {
        let stand = stand();
        let mut batch = Batch::default();
        let table = pass(Some(Format::Table), Vec::new());
        let payload = br#"{"values":{"pH2":7}}"#;
        let answer = stand.hear(&table, Some("application/json"), payload, &mut batch);
        assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
        let [letter] = &stand.letters(batch)[..] else { panic!("one") };
        assert_eq!((letter.reason, letter.topic.as_str()), (Reason::UnknownParameter, "mqtt/json"));
        let again = stand.intake.retake(&table, letter, None, &mut Batch::default());
        let Answer::Refused(refusal) = again else { panic!("{again:?}") };
        assert_eq!(refusal.reason, Reason::UnknownParameter);
    }

    #[test]
    fn a_profile_that_is_mended_holds_for_who_is_connected() {
        let stand = stand();
        let before = pass(None, Vec::new());
        let heard =
            |stand: &Stand| stand.hear(&before, None, CSV.as_bytes(), &mut Batch::default());
        assert!(matches!(heard(&stand), Answer::Refused(_)));
        let mended = pass(Some(Format::Table), Vec::new());
        stand.intake.stations().set([Station::clone(&mended.station)]);
        assert_eq!(heard(&stand), Answer::Stored { refused: None });
    }

    #[test]
    fn an_upstream_says_what_comes_or_the_stations_profile_does() {
        let stand = stand();
        let told = |profile, format, payload: &'static str| {
            let station = pass(profile, Vec::new()).station;
            stand.intake.stations().set([Station::clone(&station)]);
            let payload = Bytes::from(payload);
            let message =
                Message { topic: "province/xuan-hoa", payload: &payload, retained: false };
            let (speaker, nodes) = (Speaker::Broker(Some("xuan-hoa")), Nodes::default());
            let batch = &mut Batch::default();
            let told = stand.intake.tell(format, &nodes, speaker, message, batch);
            told.answer == Some(Answer::Stored { refused: None })
        };
        let (table, json) = (Some(Format::Table), Some(Format::Json));
        for (profile, upstream, payload, is_read) in [
            (None, None, JSON, true),
            (None, table, CSV, true),
            (table, None, CSV, true),
            (table, None, JSON, false),
            (table, json, JSON, true),
            (table, json, CSV, false),
            (json, table, CSV, true),
            (Some(Format::ThingsBoard), None, r#"{"ph":7,"on":true}"#, true),
        ] {
            assert_eq!(told(profile, upstream, payload), is_read, "{profile:?} {upstream:?}");
        }
        // Retained, without a time, as a profile's format too.
        let station = pass(Some(Format::SenmlJson), Vec::new()).station;
        stand.intake.stations().set([Station::clone(&station)]);
        let payload = Bytes::from(SENML);
        let message = Message { topic: "province/xuan-hoa", payload: &payload, retained: true };
        let speaker = Speaker::Broker(Some("xuan-hoa"));
        let mut batch = Batch::default();
        stand.intake.tell(None, &Nodes::default(), speaker, message, &mut batch);
        let told: Vec<_> =
            stand.letters(batch).into_iter().map(|it| (it.reason, it.topic)).collect();
        assert_eq!(told, [(Reason::BadTime, "province/xuan-hoa".to_owned())]);
    }
}
