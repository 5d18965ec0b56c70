//! Many packets, one commit, one proof. A connection takes what it has read, then commits all of it at once; whoever
//! answers the station needs the [`Proof`], and only a commit makes one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use domain::{Clock, Format, Reason, Refusal, Report, Stated, Station, Timestamp};
use journal::{Durable, Journal, JournalError};
use metrics::Counter;

use crate::admit::{Limits, ParameterTable, admit};
use crate::again;
use crate::clocks::Clocks;
use crate::deadletter::DeadLetter;
use crate::formats::json;
use crate::formats::shape::{Shape, Way};
use crate::formats::sparkplug::Nodes;
use crate::piece::Piece;
use crate::record::Record;
use crate::said::{SAID_BYTES_MAX, Said, What};
use crate::serial::Spoken;
use crate::stations::Stations;

/// Who is speaking.
#[derive(Debug, Clone)]
pub struct Pass {
    /// The station as it was at login.
    pub station: Arc<Station>,
}

impl Pass {
    /// The same, where a part of a body names this station or none.
    ///
    /// # Errors
    /// `foreign_topic` where it names another.
    pub fn speaks_of(&self, name: Option<&str>) -> Result<Self, Refusal> {
        let code = &self.station.code;
        match name {
            Some(name) if name != code.as_str() => {
                let name = json::shorten(name);
                let detail = format!("station: `{name}`; this is `{code}` speaking");
                Err(Refusal { reason: Reason::ForeignTopic, detail })
            }
            _ => Ok(self.clone()),
        }
    }
}

/// What became of one packet. It may be told to the station only with a [`Proof`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Readings of it are in the batch.
    Stored {
        /// The first refusal, where a part was refused; the bytes are then with the dead letters too.
        refused: Option<Refusal>,
    },
    /// All of it is refused; its bytes are with the dead letters.
    Refused(Refusal),
}

/// What has to be made durable before anything of it is answered.
#[derive(Debug, Default)]
pub struct Batch {
    records: Vec<Bytes>,
    dead: Vec<Bytes>,
    said: Vec<Bytes>,
    received: u64,
    refused: BTreeMap<Reason, u64>,
}

impl Batch {
    /// Nothing to make durable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.dead.is_empty() && self.said.is_empty()
    }

    /// Bytes that the batch will write, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.records.iter().chain(&self.dead).chain(&self.said).map(Bytes::len).sum()
    }
}

/// How a body came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Came<'a> {
    /// What it is.
    pub shape: Shape,
    /// Over what.
    pub way: Way,
    /// The topic under which it is refused where nobody but the station's profile said what it is, so that it is sent in
    /// again as the profile says then. Else the shape itself stands there.
    pub topic: Option<&'a str>,
    /// Did a broker keep it from before?
    pub retained: bool,
}

/// A message that a broker kept from before says nothing about now: where the report does not say when it was measured,
/// nobody knows.
pub(crate) fn of_unknown_age() -> Refusal {
    let detail = "time: a retained message without a time could be of any age".to_owned();
    Refusal { reason: Reason::BadTime, detail }
}

/// What became of a body of many parts. It may be told only with a [`Proof`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body {
    /// Reports of which readings are in the batch.
    pub stored: u64,
    /// What was refused, and at which line, where the format has lines.
    pub refused: Vec<(Option<u64>, Refusal)>,
}

impl Body {
    /// The same as of one packet: the first refusal, if there is one.
    #[must_use]
    pub fn answer(self) -> Answer {
        match (self.stored, self.refused.into_iter().next()) {
            (0, Some((_, refusal))) => Answer::Refused(refusal),
            (_, refused) => Answer::Stored { refused: refused.map(|(_, refusal)| refusal) },
        }
    }
}

/// The proof that a batch is on disk.
#[derive(Debug)]
pub struct Proof {
    _readings: Option<Durable>,
    _dead: Option<Durable>,
    _said: Option<Durable>,
}

/// What the intake has counted since the start, readings each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accounts {
    /// Made durable, refused ones included.
    pub received: u64,
    /// Refused of these.
    pub refused: u64,
    /// Commits under way.
    pub in_flight: u64,
    /// Commits that nobody waited for to the end: whether their readings came in is not known here.
    pub untracked: u64,
}

struct Counts {
    received: AtomicU64,
    /// A handle: looking the counter up for each commit would cost more than counting.
    received_metric: Counter,
    refused: AtomicU64,
    in_flight: AtomicU64,
    untracked: AtomicU64,
}

impl Counts {
    fn new() -> Self {
        Self {
            received: AtomicU64::new(0),
            received_metric: metrics::counter!("saltline_readings_received_total"),
            refused: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            untracked: AtomicU64::new(0),
        }
    }
}

/// One commit under way; ends well by `arrived`, or untracked by being dropped.
struct Underway {
    counts: Arc<Counts>,
    arrived: bool,
}

impl Underway {
    fn begin(counts: &Arc<Counts>) -> Self {
        counts.in_flight.fetch_add(1, Ordering::AcqRel);
        Self { counts: counts.clone(), arrived: false }
    }

    fn arrived(mut self, received: u64, refused: &BTreeMap<Reason, u64>) {
        self.arrived = true;
        self.counts.received.fetch_add(received, Ordering::AcqRel);
        self.counts.refused.fetch_add(refused.values().sum(), Ordering::AcqRel);
        self.counts.received_metric.increment(received);
        for (reason, count) in refused {
            metrics::counter!("saltline_readings_refused_total", "reason" => reason.as_str())
                .increment(*count);
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if !self.arrived {
            self.counts.untracked.fetch_add(1, Ordering::AcqRel);
        }
        self.counts.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The way from packets to the journal. Clones share it.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

struct Inner {
    journal: Journal,
    dead_letters: Journal,
    said: OnceLock<Journal>,
    parameters: RwLock<Arc<ParameterTable>>,
    stations: Stations,
    /// What Sparkplug nodes said at our own door.
    nodes: Nodes,
    /// How serial lines speak.
    spoken: Spoken,
    /// How far the stations' clocks are from ours.
    clocks: Clocks,
    limits: Limits,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
}

impl Intake {
    /// An intake into these two journals.
    #[must_use]
    pub fn new(
        journal: Journal,
        dead_letters: Journal,
        parameters: ParameterTable,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let parameters = RwLock::new(Arc::new(parameters));
        let counts = Arc::new(Counts::new());
        let said = OnceLock::new();
        let (stations, nodes, clocks, spoken) = Default::default();
        let inner = Inner {
            journal,
            dead_letters,
            said,
            parameters,
            stations,
            nodes,
            spoken,
            clocks,
            limits,
            clock,
            counts,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The same intake, which keeps in this journal what stations say beside their readings. The first journal stands.
    #[must_use]
    pub fn hearing(self, said: Journal) -> Self {
        drop(self.inner.said.set(said));
        self
    }

    /// What has been counted since the start.
    #[must_use]
    pub fn accounts(&self) -> Accounts {
        let counts = &self.inner.counts;
        Accounts {
            received: counts.received.load(Ordering::Acquire),
            refused: counts.refused.load(Ordering::Acquire),
            in_flight: counts.in_flight.load(Ordering::Acquire),
            untracked: counts.untracked.load(Ordering::Acquire),
        }
    }

    /// Takes the parameters from now on from this table.
    pub fn set_parameters(&self, table: ParameterTable) {
        let mut held = self.inner.parameters.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(table);
    }

    /// The stations that gateways and other people's brokers may speak of; empty until somebody sets them.
    #[must_use]
    pub fn stations(&self) -> &Stations {
        &self.inner.stations
    }

    /// How far the stations' clocks are from ours.
    #[must_use]
    pub fn clocks(&self) -> &Clocks {
        &self.inner.clocks
    }

    pub(crate) fn nodes(&self) -> &Nodes {
        &self.inner.nodes
    }

    pub(crate) fn spoken(&self) -> &Spoken {
        &self.inner.spoken
    }

    pub(crate) fn now(&self) -> domain::Timestamp {
        self.inner.clock.now()
    }

    /// Reads and settles one packet, and adds to the batch what must be durable before it is answered.
    pub fn take(&self, pass: &Pass, topic: &str, payload: &Bytes, batch: &mut Batch) -> Answer {
        match json::decode(payload) {
            Ok(reports) => self.settle(pass, topic, payload, &reports, batch),
            Err(refusal) => {
                self.refuse(Some(pass), topic, payload, &refusal, batch);
                Answer::Refused(refusal)
            }
        }
    }

    /// The same for reports that somebody has read from `payload`, who knows their format.
    pub fn take_reports(
        &self,
        pass: &Pass,
        topic: &str,
        payload: &Bytes,
        reports: &[Report<'_>],
        batch: &mut Batch,
    ) -> Answer {
        self.settle(pass, topic, payload, reports, batch)
    }

    /// Reads and settles a body that may hold many parts, each believed or refused by itself. `whose` says which station
    /// a part is of by the name that it gives, and refuses what the sender may not say; `pass` is whose the body is,
    /// where it cannot be read at all.
    pub fn take_body(
        &self,
        pass: Option<&Pass>,
        whose: impl Fn(Option<&str>) -> Result<Pass, Refusal>,
        Came { mut shape, way, topic, retained }: Came<'_>,
        payload: &Bytes,
        batch: &mut Batch,
    ) -> Body {
        // What the folder says of its loggers' clocks goes before what the station's profile says of its own.
        if shape.format == Format::Table {
            let own = pass.and_then(|pass| pass.station.profile.utc_offset_s);
            shape.offset_s = shape.offset_s.or(own);
        }
        let arrival = Arrival { judged_at: self.inner.clock.now(), replayed_at: None };
        let topic = topic.map_or_else(|| shape.topic(way), str::to_owned);
        let layout = pass.map_or(&[][..], |pass| &pass.station.profile.layout);
        let mut body = Body::default();
        let parts = match shape.read_laid_out(payload, arrival.judged_at, layout) {
            Ok(parts) => parts,
            Err(refusal) => {
                self.refuse(pass, &topic, payload, &refusal, batch);
                body.refused.push((None, refusal));
                return body;
            }
        };
        for part in parts {
            let kept = || if part.line.is_some() { part.kept() } else { payload.clone() };
            let own = match whose(part.station.as_deref()) {
                Ok(own) => own,
                Err(refusal) => {
                    self.refuse(pass, &topic, &kept(), &refusal, batch);
                    body.refused.push((part.line, refusal));
                    continue;
                }
            };
            let refusal = match &part.report {
                Ok(report) if retained && report.taken == Stated::OnArrival => {
                    Some(of_unknown_age())
                }
                Ok(report) => {
                    let reports = std::slice::from_ref(report);
                    let (refusal, took) = self.admit_all(&own, reports, arrival, batch);
                    body.stored += u64::from(matches!(took, Took::Some));
                    refusal
                }
                Err(refusal) => Some(refusal.clone()),
            };
            if let Some(refusal) = refusal {
                self.refuse(Some(&own), &topic, &kept(), &refusal, batch);
                body.refused.push((part.line, refusal));
            }
        }
        body
    }

    /// Adds a refused packet to the dead letters of the batch.
    pub fn refuse(
        &self,
        pass: Option<&Pass>,
        topic: &str,
        payload: &Bytes,
        refusal: &Refusal,
        batch: &mut Batch,
    ) {
        let station = pass.map_or("", |pass| pass.station.code.as_str());
        tracing::warn!(station, topic, reason = %refusal.reason, detail = %refusal, "refused");
        metrics::counter!("saltline_packets_refused_total", "reason" => refusal.reason.as_str())
            .increment(1);
        let now = self.inner.clock.now();
        batch.dead.push(DeadLetter::new(now, refusal, station, topic, payload).encode());
    }

    /// Adds to the batch what a station said on a topic of its own that we act upon; says nothing of others.
    pub fn note(&self, pass: &Pass, topic: &str, payload: &Bytes, batch: &mut Batch) {
        let station = &pass.station.code;
        let Some(what) = What::of(topic, station) else { return };
        if SAID_BYTES_MAX < payload.len() {
            tracing::warn!(%station, topic, bytes = payload.len(), reason = "too_large", "not heard");
            metrics::counter!("saltline_said_unheard_total", "reason" => "too_large").increment(1);
            return;
        }
        metrics::counter!("saltline_said_total", "what" => what.as_str()).increment(1);
        let (received_at, station) = (self.inner.clock.now(), station.clone());
        batch.said.push(Said { received_at, station, what, payload: payload.clone() }.encode());
    }

    /// Sends a dead letter in again, the way that every packet goes, for the station as it stands in the book now.
    ///
    /// The letter is judged as of the moment it came: a report without a time was taken then, and a clock that was
    /// wrong then is still wrong. Its readings are a replay and are received now, so that they correct the past and
    /// never raise an alarm of it. What is still refused is told, and not kept a second time.
    ///
    /// With a shift, times that could not be believed then are moved by so many milliseconds first.
    pub fn retake(
        &self,
        pass: &Pass,
        letter: &DeadLetter,
        shift_ms: Option<i64>,
        batch: &mut Batch,
    ) -> Answer {
        if letter.reason == Reason::ForeignTopic {
            let detail = format!("`{}` is still not a topic of a report", letter.topic);
            return Answer::Refused(Refusal { reason: Reason::ForeignTopic, detail });
        }
        let (profile, spoken) = (&pass.station.profile, Some(&self.inner.spoken));
        let mut reports = match again::reports(letter, profile, spoken) {
            Ok(reports) => reports,
            Err(refusal) => return Answer::Refused(refusal),
        };
        if let Some(shift_ms) = shift_ms {
            again::shift(&mut reports, shift_ms, &self.inner.limits, letter.received_at);
        }
        let again =
            Arrival { judged_at: letter.received_at, replayed_at: Some(self.inner.clock.now()) };
        match self.admit_all(pass, &reports, again, batch) {
            (Some(refusal), Took::Nothing) => Answer::Refused(refusal),
            (refused, _) => Answer::Stored { refused },
        }
    }

    /// Adds a piece of readings of the past, received now. They were settled by whoever read them out of their file.
    pub fn take_piece(&self, piece: Piece, batch: &mut Batch) {
        batch.received += piece.values();
        batch.records.extend(piece.into_records(self.inner.clock.now()));
    }

    /// Makes the batch durable. While the disk is full this waits.
    ///
    /// # Errors
    /// [`JournalError`]: nothing of the batch may be acknowledged. `Failed` is final for the process.
    pub fn commit(
        &self,
        batch: Batch,
    ) -> impl Future<Output = Result<Proof, JournalError>> + Send + 'static {
        let Batch { records, dead, said, received, refused } = batch;
        let said = self.inner.said.get().filter(|_| !said.is_empty()).map(|to| to.append(said));
        let readings = (!records.is_empty()).then(|| self.inner.journal.append(records));
        let letters = (!dead.is_empty()).then(|| self.inner.dead_letters.append(dead));
        let underway = Underway::begin(&self.inner.counts);
        async move {
            let dead = match letters {
                Some(letters) => Some(letters.await?),
                None => None,
            };
            let said = match said {
                Some(said) => Some(said.await?),
                None => None,
            };
            let readings = match readings {
                Some(readings) => Some(readings.await?),
                None => None,
            };
            underway.arrived(received, &refused);
            Ok(Proof { _readings: readings, _dead: dead, _said: said })
        }
    }

    fn settle(
        &self,
        pass: &Pass,
        topic: &str,
        payload: &Bytes,
        reports: &[Report<'_>],
        batch: &mut Batch,
    ) -> Answer {
        let arrival = Arrival { judged_at: self.inner.clock.now(), replayed_at: None };
        let (first, took) = self.admit_all(pass, reports, arrival, batch);
        if let Some(refusal) = &first {
            self.refuse(Some(pass), topic, payload, refusal, batch);
        }
        match (first, took) {
            (Some(refusal), Took::Nothing) => Answer::Refused(refusal),
            (refused, _) => Answer::Stored { refused },
        }
    }

    /// Admits what can be, and gives back the first refusal.
    fn admit_all(
        &self,
        pass: &Pass,
        reports: &[Report<'_>],
        arrival: Arrival,
        batch: &mut Batch,
    ) -> (Option<Refusal>, Took) {
        let table = self.inner.parameters.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut first = None;
        let mut took = Took::Nothing;
        for report in reports {
            let at = arrival.judged_at;
            let admission = admit(report, &pass.station, &table, &self.inner.limits, at);
            // A report refused as a whole refuses each of its readings.
            let each = if admission.admitted.is_some() { 1 } else { report.values.len() as u64 };
            for refusal in &admission.refused {
                let count = if admission.refused.len() == 1 { each } else { 1 };
                *batch.refused.entry(refusal.reason).or_default() += count;
            }
            batch.received += report.values.len() as u64;
            if let (None, Some(stated)) = (arrival.replayed_at, admission.wrong_clock(report)) {
                self.inner.clocks.note(&pass.station.code, stated, at);
            }
            if let Some(mut admitted) = admission.admitted {
                if let Some(now) = arrival.replayed_at {
                    (admitted.received_at, admitted.replay) = (now, true);
                }
                batch.records.push(Record::encode_admitted(&admitted));
                took = Took::Some;
            }
            first = first.or_else(|| admission.refused.into_iter().next());
        }
        (first, took)
    }
}

/// When a packet came, and when it was sent in again.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    judged_at: Timestamp,
    replayed_at: Option<Timestamp>,
}

/// Was anything of a packet believed?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Took {
    Some,
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::{ADMIT, example_station};
    use crate::record::Decoder;
    use domain::Timestamp;

    struct Held;
    impl Clock for Held {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_773_266_400_000)
        }
    }

    #[test]
    fn a_packet_is_on_disk_in_both_its_parts_before_there_is_a_proof() {
        let dir = tempfile::tempdir().unwrap();
        let config = journal::Config::default();
        let journal = Journal::open(&dir.path().join("journal"), &config).unwrap();
        let dead = Journal::open(&dir.path().join("deadletter"), &config).unwrap();
        let table = ParameterTable::new(&domain::standard_parameters());
        let intake = Intake::new(journal.clone(), dead.clone(), table, ADMIT, Arc::new(Held));
        let pass = Pass { station: Arc::new(example_station()) };
        let mut batch = Batch::default();
        let mut take = |payload: &'static str| {
            intake.take(&pass, "stations/xuan-hoa/readings", &Bytes::from(payload), &mut batch)
        };
        assert_eq!(take(r#"{"values":{"ph":7}}"#), Answer::Stored { refused: None });
        let partly = take(r#"{"values":{"ph":7,"x":1}}"#);
        assert!(matches!(partly, Answer::Stored { refused: Some(_) }), "{partly:?}");
        assert!(matches!(take("not json"), Answer::Refused(_)));
        assert!(matches!(take(r#"{"time":0,"values":{"ph":7}}"#), Answer::Refused(_)));
        assert_eq!((journal.durable_end(), dead.durable_end()), (0, 0));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(intake.commit(batch)).unwrap();
        assert_eq!((journal.durable_end(), dead.durable_end()), (2, 3));
        let expected = Accounts { received: 4, refused: 2, in_flight: 0, untracked: 0 };
        assert_eq!(intake.accounts(), expected);
        drop(intake.commit(Batch::default()));
        assert_eq!(intake.accounts().untracked, 1);
        let letters = dead.read(0, 1 << 20).unwrap();
        let letter = DeadLetter::decode(&letters[1].1).unwrap();
        assert_eq!(
            (letter.reason, letter.payload.as_ref()),
            (Reason::Malformed, b"not json".as_ref())
        );
        let (_, bytes) = &journal.read(0, 1).unwrap()[0];
        assert!(matches!(Decoder::default().decode(bytes), Ok(Record::Admitted(_))));
    }

    #[test]
    fn a_letter_that_is_sent_in_again_is_a_replay_of_the_moment_it_came() {
        let dir = tempfile::tempdir().unwrap();
        let config = journal::Config::default();
        let journal = Journal::open(&dir.path().join("journal"), &config).unwrap();
        let dead = Journal::open(&dir.path().join("deadletter"), &config).unwrap();
        let table = ParameterTable::new(&domain::standard_parameters());
        let intake = Intake::new(journal.clone(), dead.clone(), table, ADMIT, Arc::new(Held));
        let mut station = example_station();
        let letter = |payload: &'static str, reason| {
            let refusal = Refusal { reason, detail: String::new() };
            let came = Timestamp::from_millis(1_773_000_000_000);
            let topic = "stations/xuan-hoa/readings";
            DeadLetter::new(came, &refusal, "xuan-hoa", topic, &Bytes::from(payload))
        };
        let unknown = letter(r#"{"values":{"Sal":8.85,"ph":7}}"#, Reason::UnknownParameter);
        let mut batch = Batch::default();
        let retake = |station: &Station, letter: &DeadLetter, batch: &mut Batch| {
            intake.retake(&Pass { station: Arc::new(station.clone()) }, letter, None, batch)
        };
        let before = retake(&station, &unknown, &mut Batch::default());
        assert!(matches!(before, Answer::Stored { refused: Some(_) }), "still not mended");
        station.profile.fields.push(domain::Mapping {
            name: "Sal".to_owned(),
            parameter: domain::ParameterCode::new("salinity").unwrap(),
            scale: 1.0,
            offset: 0.0,
            ec: None,
        });
        assert_eq!(retake(&station, &unknown, &mut batch), Answer::Stored { refused: None });
        let nonsense = letter("not json", Reason::Malformed);
        assert!(matches!(retake(&station, &nonsense, &mut batch), Answer::Refused(_)));
        let foreign = letter(r#"{"values":{"ph":7}}"#, Reason::ForeignTopic);
        assert!(matches!(retake(&station, &foreign, &mut batch), Answer::Refused(_)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(intake.commit(batch)).unwrap();
        assert_eq!(dead.durable_end(), 0, "what is still refused is not kept twice");
        let (_, bytes) = &journal.read(0, 1).unwrap()[0];
        let Ok(Record::Admitted(admitted)) = Decoder::default().decode(bytes) else { panic!() };
        assert!(admitted.replay && admitted.values.len() == 2);
        assert_eq!(admitted.taken_at, unknown.received_at, "it had no time of its own");
        assert_eq!(admitted.received_at, Held.now());
    }

    #[test]
    fn what_a_station_says_beside_its_readings_is_on_disk_before_there_is_a_proof() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            Journal::open(&dir.path().join(name), &journal::Config::default()).unwrap()
        };
        let said = open("said");
        let table = ParameterTable::new(&domain::standard_parameters());
        let intake = Intake::new(open("journal"), open("dead"), table, ADMIT, Arc::new(Held))
            .hearing(said.clone());
        let pass = Pass { station: Arc::new(example_station()) };
        let mut batch = Batch::default();
        let receipt = Bytes::from_static(b"{}");
        intake.note(&pass, "stations/xuan-hoa/receipt", &receipt, &mut batch);
        intake.note(&pass, "stations/xuan-hoa/log", &receipt, &mut batch);
        let huge = Bytes::from(vec![b' '; SAID_BYTES_MAX + 1]);
        intake.note(&pass, "stations/xuan-hoa/config/reported", &huge, &mut batch);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(intake.commit(batch)).unwrap();
        assert_eq!(said.durable_end(), 1);
        let (_, bytes) = &said.read(0, 1).unwrap()[0];
        assert_eq!(Said::decode(bytes).unwrap().what, What::Receipt);
    }
}
