//! When to try again, and when to stop: arithmetic on instants, no clock and no store.

use std::time::Duration;

use domain::{ChannelKind, Notice, Timestamp};

/// Notices that may wait at once. 500 people told of 20 alerts in one night without a network bring 10,000; the
/// double of it takes about 20 MB. Beyond it a new notice is given up at once, loudly.
pub const WAITING_MAX: usize = 20_000;

/// The first retry comes after this long, each next one after twice as long.
pub const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest pause between two attempts at one notice. It is also the longest that a notice waits after its
/// channel came back, so it is short; 24 hours of it are 1,440 attempts, and while a channel is away only one notice
/// at a time is tried (see the delivering loop), so the ledger grows by that and not by that times the notices.
pub const RETRY_LONGEST: Duration = Duration::from_mins(1);

/// How long an SMS is tried. It rings a phone, and half a tide later the water is another; the text names its own
/// hour, so a late one is not a lie, only noise.
pub const SMS_TRIED_FOR: Duration = Duration::from_hours(6);

/// How long an e-mail is tried: a working day's night without a mail server loses nothing.
pub const EMAIL_TRIED_FOR: Duration = Duration::from_hours(24);

/// What comes after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt, not before this.
    RetryAt(Timestamp),
    /// It is worth nothing any more.
    TooLate,
}

/// What comes after attempt number `attempts` (from 1) at `notice` failed at `now`.
#[must_use]
pub fn after_failure(notice: &Notice, attempts: u32, now: Timestamp) -> Next {
    let at = now + pause(attempts);
    if is_too_late(notice, at) { Next::TooLate } else { Next::RetryAt(at) }
}

/// Is the notice older than it is worth trying?
#[must_use]
pub fn is_too_late(notice: &Notice, at: Timestamp) -> bool {
    let tried_for = match notice.channel {
        ChannelKind::Sms => SMS_TRIED_FOR,
        ChannelKind::Email => EMAIL_TRIED_FOR,
    };
    tried_for < at.since(notice.made_at)
}

/// The pause after the `failures`-th failure in a row: 1 s, 2 s, 4 s, … 60 s.
#[must_use]
pub fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AlertId, NoticeId, PersonId};

    fn notice(channel: ChannelKind) -> Notice {
        let person = PersonId::new("ba-tu").unwrap();
        let alert = AlertId::from_text("salinity.xuan-hoa.7");
        Notice {
            id: NoticeId::new(&alert, 0, &person, channel),
            alert,
            person,
            channel,
            address: "+84901234567".to_owned(),
            subject: String::new(),
            body: "…".to_owned(),
            made_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds: Vec<u64> = (1..9).map(|n| pause(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(u32::MAX), RETRY_LONGEST);
    }

    #[test]
    fn an_sms_is_given_up_after_half_a_tide_and_an_email_after_a_day() {
        let evening = Timestamp::from_millis(0) + Duration::from_hours(7);
        assert_eq!(after_failure(&notice(ChannelKind::Sms), 3, evening), Next::TooLate);
        let again = evening + Duration::from_secs(4);
        assert_eq!(after_failure(&notice(ChannelKind::Email), 3, evening), Next::RetryAt(again));
        let next_day = Timestamp::from_millis(0) + Duration::from_hours(25);
        assert_eq!(after_failure(&notice(ChannelKind::Email), 3, next_day), Next::TooLate);
    }
}
