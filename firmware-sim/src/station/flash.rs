//! What a logger keeps: every report of its last days, sent or not, so that it can answer for any of them; and which
//! have to be sent yet. News go first, then what was asked for, then the backlog, oldest first. Bounded, with the count
//! of what the bound cost.

use std::collections::{BTreeSet, HashMap, VecDeque};

use domain::Timestamp;

use super::Sample;

/// Reports that a station keeps: 14 days at one every 5 minutes, and a day to bring them back in. A real logger has to hold 60 days on its card (Circular
/// 10/2021); 14 stations with 14 days each are some 10 MB of memory here, and no test cuts a link for longer.
pub const FLASH_REPORTS: usize = 15 * 288;

/// One stored report.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its number, counting up for the station's whole life.
    pub seq: u64,
    /// When it was measured, by the virtual clock.
    pub at: Timestamp,
    /// What the station's own clock said then.
    pub stamped: Timestamp,
    /// What was measured.
    pub sample: Sample,
}

/// Why a report goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// It was never acknowledged.
    Own,
    /// It was acknowledged, and the engine asked for it all the same.
    Again,
}

/// The store of a station.
#[derive(Debug)]
pub struct Flash {
    next_seq: u64,
    log: VecDeque<Stored>,
    most: usize,
    /// Never acknowledged, and not under way.
    waiting: BTreeSet<u64>,
    /// Asked for, and not under way.
    asked: BTreeSet<u64>,
    /// By packet id.
    under_way: HashMap<u16, (u64, Errand)>,
}

impl Flash {
    /// An empty store whose first report has the number `first_seq`.
    #[must_use]
    pub fn new(first_seq: u64, most: usize) -> Self {
        Self {
            next_seq: first_seq,
            log: VecDeque::new(),
            most: most.max(1),
            waiting: BTreeSet::new(),
            asked: BTreeSet::new(),
            under_way: HashMap::new(),
        }
    }

    /// Stores a sample; gives back how many reports that were never acknowledged had to go for it (0 or 1).
    pub fn store(&mut self, at: Timestamp, stamped: Timestamp, sample: Sample) -> u64 {
        let full = self.most <= self.log.len();
        let lost = match self.log.pop_front_if(|_| full) {
            Some(oldest) => self.forget(oldest.seq),
            None => 0,
        };
        self.log.push_back(Stored { seq: self.next_seq, at, stamped, sample });
        self.waiting.insert(self.next_seq);
        self.next_seq += 1;
        lost
    }

    /// The oldest report that waits and was measured at `since` or after it, now under way as packet `pkid`.
    pub fn send_news(&mut self, pkid: u16, since: Timestamp) -> Option<&Stored> {
        let first = self.log.partition_point(|report| report.at < since);
        let first = self.log.get(first)?.seq;
        let seq = *self.waiting.range(first..).next()?;
        self.send(pkid, seq)
    }

    /// The oldest report that was asked for, now under way.
    pub fn send_asked(&mut self, pkid: u16) -> Option<&Stored> {
        let seq = *self.asked.first()?;
        self.send(pkid, seq)
    }

    /// The oldest report that waits, now under way.
    pub fn send_backlog(&mut self, pkid: u16) -> Option<&Stored> {
        let seq = *self.waiting.first()?;
        self.send(pkid, seq)
    }

    /// The engine wants these numbers again; gives back how many of them are kept.
    pub fn ask(&mut self, from: u64, to: u64) -> u64 {
        let flying: BTreeSet<u64> = self.under_way.values().map(|(seq, _)| *seq).collect();
        let kept = self.log.iter().map(|report| report.seq).filter(|seq| (from..=to).contains(seq));
        let kept: Vec<u64> = kept.collect();
        self.asked.extend(kept.iter().filter(|seq| !flying.contains(*seq)));
        kept.len() as u64
    }

    /// Is any report of these numbers still to be sent, or under way?
    #[must_use]
    pub fn owes(&self, from: u64, to: u64) -> bool {
        self.asked.range(from..=to).next().is_some()
            || self.under_way.values().any(|(seq, _)| (from..=to).contains(seq))
    }

    /// The report under way as `pkid` is safe; gives back why it went out, or `None` where there is none.
    pub fn acknowledge(&mut self, pkid: u16) -> Option<Errand> {
        self.under_way.remove(&pkid).map(|(_, errand)| errand)
    }

    /// The report under way as `pkid` has to be sent again.
    pub fn again(&mut self, pkid: u16) {
        if let Some((seq, errand)) = self.under_way.remove(&pkid) {
            self.put_back(seq, errand);
        }
    }

    /// The link is gone: nothing is under way any more.
    pub fn all_again(&mut self) {
        for (_, (seq, errand)) in std::mem::take(&mut self.under_way) {
            self.put_back(seq, errand);
        }
    }

    /// How many reports were never acknowledged.
    #[must_use]
    pub fn len(&self) -> usize {
        let flying = self.under_way.values().filter(|(_, errand)| *errand == Errand::Own).count();
        self.waiting.len() + flying
    }

    /// Was every report acknowledged?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Is the packet id in use?
    #[must_use]
    pub fn uses(&self, pkid: u16) -> bool {
        self.under_way.contains_key(&pkid)
    }

    fn send(&mut self, pkid: u16, seq: u64) -> Option<&Stored> {
        let own = self.waiting.remove(&seq);
        self.asked.remove(&seq);
        let errand = if own { Errand::Own } else { Errand::Again };
        self.under_way.insert(pkid, (seq, errand));
        // Numbers follow each other, so a number is a place.
        let first = self.log.front()?.seq;
        self.log.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    fn put_back(&mut self, seq: u64, errand: Errand) {
        match errand {
            Errand::Own => self.waiting.insert(seq),
            Errand::Again => self.asked.insert(seq),
        };
    }

    fn forget(&mut self, seq: u64) -> u64 {
        self.asked.remove(&seq);
        let flying = self.under_way.iter().find(|(_, (at, _))| *at == seq).map(|(pkid, _)| *pkid);
        let flew = flying.and_then(|pkid| self.acknowledge(pkid));
        u64::from(self.waiting.remove(&seq) || flew == Some(Errand::Own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Timestamp {
        Timestamp::from_millis(n as i64 * 1_000)
    }

    fn filled(reports: u64, most: usize) -> (Flash, u64) {
        let mut flash = Flash::new(100, most);
        let dropped = (0..reports).map(|n| flash.store(at(n), at(n), Sample::default())).sum();
        (flash, dropped)
    }

    #[test]
    fn the_oldest_goes_first_and_only_an_acknowledgement_frees_it() {
        let (mut flash, _) = filled(3, 10);
        assert_eq!(flash.send_backlog(1).unwrap().seq, 100);
        assert_eq!(flash.send_backlog(2).unwrap().seq, 101);
        assert_eq!(flash.acknowledge(2), Some(Errand::Own));
        assert_eq!(flash.acknowledge(2), None);
        flash.all_again();
        assert_eq!(flash.send_backlog(3).unwrap().seq, 100, "unacknowledged is sent again");
        assert_eq!(flash.send_backlog(4).unwrap().seq, 102);
        assert!(flash.send_backlog(5).is_none());
        assert_eq!(flash.len(), 2);
    }

    #[test]
    fn news_go_before_the_backlog() {
        let (mut flash, _) = filled(5, 10);
        assert_eq!(flash.send_news(1, at(3)).unwrap().seq, 103);
        assert_eq!(flash.send_news(2, at(3)).unwrap().seq, 104);
        assert!(flash.send_news(3, at(3)).is_none());
        assert_eq!(flash.send_backlog(3).unwrap().seq, 100);
    }

    #[test]
    fn what_was_acknowledged_is_still_there_for_who_asks() {
        let (mut flash, _) = filled(5, 10);
        for pkid in 1..=3 {
            flash.send_backlog(pkid).unwrap();
            flash.acknowledge(pkid);
        }
        assert_eq!(flash.ask(0, 103), 4, "three of them sent, one that waits; 0 to 99 never were");
        assert_eq!(flash.len(), 2);
        assert_eq!(flash.send_asked(9).unwrap().seq, 100);
        assert_eq!(flash.acknowledge(9), Some(Errand::Again));
        for pkid in 10..13 {
            flash.send_asked(pkid).unwrap();
        }
        assert!(flash.owes(100, 103));
        let errands: Vec<_> = (10..13).map(|pkid| flash.acknowledge(pkid).unwrap()).collect();
        assert_eq!(errands, [Errand::Again, Errand::Again, Errand::Own]);
        assert!(!flash.owes(100, 103) && flash.len() == 1);
    }

    #[test]
    fn a_full_store_loses_the_oldest_and_says_so_where_it_was_never_sent() {
        let (mut flash, dropped) = filled(7, 4);
        assert_eq!((dropped, flash.len()), (3, 4));
        assert_eq!(flash.send_backlog(1).unwrap().seq, 103);
        flash.acknowledge(1);
        assert_eq!(flash.store(at(9), at(9), Sample::default()), 0, "that one is safe");
        flash.send_backlog(2).unwrap();
        assert_eq!(flash.store(at(9), at(9), Sample::default()), 1);
        assert!(!flash.uses(2));
    }

    #[test]
    fn a_report_put_back_keeps_its_place() {
        let (mut flash, _) = filled(2, 4);
        flash.send_backlog(1).unwrap();
        flash.again(1);
        assert_eq!(flash.send_backlog(2).unwrap().seq, 100);
        assert!(flash.uses(2) && !flash.uses(1));
    }
}
