//! What a logger keeps until it is acknowledged: oldest first, bounded, and the count of what the bound cost.

use std::collections::VecDeque;

use domain::Timestamp;

use super::Sample;

/// Reports that a station keeps: 14 days at one every 5 minutes. A real logger has to hold 60 days on its card (Circular
/// 10/2021); 14 stations with 14 days each are some 10 MB of memory here, and no test cuts a link for longer.
pub const FLASH_REPORTS: usize = 14 * 288;

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
    sent_as: Option<u16>,
}

/// The store of a station.
#[derive(Debug)]
pub struct Flash {
    next_seq: u64,
    reports: VecDeque<Stored>,
    most: usize,
}

impl Flash {
    /// An empty store whose first report has the number `first_seq`.
    #[must_use]
    pub fn new(first_seq: u64, most: usize) -> Self {
        Self { next_seq: first_seq, reports: VecDeque::new(), most: most.max(1) }
    }

    /// Stores a sample; gives back how many old reports had to go for it (0 or 1).
    pub fn store(&mut self, at: Timestamp, stamped: Timestamp, sample: Sample) -> u64 {
        let full = self.most <= self.reports.len();
        if full {
            self.reports.pop_front();
        }
        self.reports.push_back(Stored { seq: self.next_seq, at, stamped, sample, sent_as: None });
        self.next_seq += 1;
        u64::from(full)
    }

    /// The oldest report that is not under way, now under way as packet `pkid`.
    pub fn send_next(&mut self, pkid: u16) -> Option<&Stored> {
        let next = self.reports.iter_mut().find(|r| r.sent_as.is_none())?;
        next.sent_as = Some(pkid);
        Some(next)
    }

    /// The report under way as `pkid` is safe: forgets it. False where there is none.
    pub fn acknowledge(&mut self, pkid: u16) -> bool {
        let Some(index) = self.reports.iter().position(|r| r.sent_as == Some(pkid)) else {
            return false;
        };
        self.reports.remove(index).is_some()
    }

    /// The report under way as `pkid` has to be sent again.
    pub fn again(&mut self, pkid: u16) {
        self.reports.iter_mut().filter(|r| r.sent_as == Some(pkid)).for_each(|r| r.sent_as = None);
    }

    /// The link is gone: nothing is under way any more.
    pub fn all_again(&mut self) {
        self.reports.iter_mut().for_each(|r| r.sent_as = None);
    }

    /// How many reports are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.reports.len()
    }

    /// Is nothing kept?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }

    /// Is the packet id in use?
    #[must_use]
    pub fn uses(&self, pkid: u16) -> bool {
        self.reports.iter().any(|r| r.sent_as == Some(pkid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(reports: u64, most: usize) -> (Flash, u64) {
        let mut flash = Flash::new(100, most);
        let at = Timestamp::default();
        let dropped = (0..reports).map(|_| flash.store(at, at, Sample::default())).sum();
        (flash, dropped)
    }

    #[test]
    fn the_oldest_goes_first_and_only_an_acknowledgement_frees_it() {
        let (mut flash, _) = filled(3, 10);
        assert_eq!(flash.send_next(1).unwrap().seq, 100);
        assert_eq!(flash.send_next(2).unwrap().seq, 101);
        assert!(flash.acknowledge(2) && !flash.acknowledge(2));
        flash.all_again();
        assert_eq!(flash.send_next(3).unwrap().seq, 100, "unacknowledged is sent again");
        assert_eq!(flash.send_next(4).unwrap().seq, 102);
        assert!(flash.send_next(5).is_none());
        assert_eq!(flash.len(), 2);
    }

    #[test]
    fn a_full_store_loses_the_oldest_and_says_so() {
        let (mut flash, dropped) = filled(7, 4);
        assert_eq!((dropped, flash.len()), (3, 4));
        assert_eq!(flash.send_next(1).unwrap().seq, 103);
    }

    #[test]
    fn a_report_put_back_keeps_its_place() {
        let (mut flash, _) = filled(2, 4);
        flash.send_next(1).unwrap();
        flash.again(1);
        assert_eq!(flash.send_next(2).unwrap().seq, 100);
        assert!(flash.uses(2) && !flash.uses(1));
    }
}
