use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn small() -> Config {
    Config { segment_bytes_max: 512, ..Config::default() }
}

fn record(n: u64) -> Bytes {
    Bytes::from(format!("record {n}").repeat(1 + n as usize % 5))
}

fn fill(journal: &Journal, from: u64, count: u64) {
    for n in from..from + count {
        let durable = journal.append_blocking(vec![record(n)]).unwrap();
        assert_eq!((durable.first(), durable.next()), (n, n + 1));
    }
}

fn all(journal: &Journal) -> Vec<(Position, Bytes)> {
    let mut out = Vec::new();
    let mut next = journal.oldest();
    loop {
        let some = journal.read(next, 100).unwrap();
        let Some(&(last, _)) = some.last() else { return out };
        next = last + 1;
        out.extend(some);
    }
}

fn expect_all(journal: &Journal, count: u64) {
    let expected: Vec<_> = (0..count).map(|n| (n, record(n))).collect();
    assert_eq!(all(journal), expected);
}

fn last_segment(dir: &Path) -> std::path::PathBuf {
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    paths.sort();
    paths.pop().unwrap()
}

#[test]
fn what_waited_long_is_written_into_many_segments() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &small()).unwrap();
    journal.faults().disk_full.store(true, Ordering::Relaxed);
    for n in 0..100 {
        journal.push(vec![record(n)]).unwrap();
    }
    journal.faults().disk_full.store(false, Ordering::Relaxed);
    fill(&journal, 100, 1);
    expect_all(&journal, 101);
    let mut lengths = Vec::new();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            lengths.push(std::fs::metadata(path).unwrap().len());
        }
    }
    // Frames take 16 bytes and more beside a record's own; a segment may be over by them and by one record.
    assert!(5 < lengths.len() && lengths.iter().all(|length| *length < 2_048), "{lengths:?}");
}

#[test]
fn what_was_appended_is_read_back_across_segments_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let journal = Journal::open(dir.path(), &small()).unwrap();
        expect_all(&journal, round * 30);
        fill(&journal, round * 30, 30);
        expect_all(&journal, round * 30 + 30);
        assert_eq!(journal.read(7, 1).unwrap(), vec![(7, record(7))]);
        assert_eq!(journal.read(10_000, 1).unwrap(), vec![]);
    }
    assert!(3 < std::fs::read_dir(dir.path()).unwrap().count());
}

#[test]
fn a_reader_that_waited_at_the_end_goes_on_into_the_next_segment() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &small()).unwrap();
    for n in 0..100 {
        fill(&journal, n, 1);
        assert_eq!(journal.read(n, 4_096).unwrap(), vec![(n, record(n))]);
        assert_eq!(journal.read(n + 1, 4_096).unwrap(), vec![]);
    }
}

#[test]
fn everything_that_waits_is_synced_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &Config::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..50_u64 {
            let journal = journal.clone();
            tasks.spawn(async move {
                for n in 0..20_u64 {
                    let two = vec![
                        Bytes::from(format!("{task}:{n}a")),
                        Bytes::from(format!("{task}:{n}b")),
                    ];
                    let durable = journal.append(two).await.unwrap();
                    assert!(
                        durable.next() <= journal.durable_end(),
                        "the proof came before the sync"
                    );
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
    let read = all(&journal);
    assert_eq!(read.len(), 2_000);
    for task in 0..50 {
        let mine: Vec<_> = read
            .iter()
            .map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap())
            .filter(|text| text.starts_with(&format!("{task}:")))
            .collect();
        let expected: Vec<_> =
            (0..20).flat_map(|n| [format!("{task}:{n}a"), format!("{task}:{n}b")]).collect();
        assert_eq!(mine, expected);
    }
}

#[test]
fn an_append_heavier_than_the_queue_still_gets_through() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { queue_bytes_max: 64, ..Config::default() };
    let journal = Journal::open(dir.path(), &config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let heavy = vec![Bytes::from(vec![7; 1_000]); 3];
    let durable = runtime.block_on(journal.append(heavy)).unwrap();
    assert_eq!(durable.next(), 3);
}

#[test]
fn a_torn_tail_is_cut_counted_and_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &Config::default()).unwrap();
    fill(&journal, 0, 10);
    drop(journal);
    let path = last_segment(dir.path());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let journal = Journal::open(dir.path(), &Config::default()).unwrap();
    assert!(0 < journal.torn_bytes());
    expect_all(&journal, 9);
    assert!(dir.path().join("torn-9-0.bin").exists());
    fill(&journal, 9, 1);
    expect_all(&journal, 10);
}

#[test]
fn room_that_a_power_cut_leaves_is_no_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &Config::default()).unwrap();
    fill(&journal, 0, 10);
    let path = last_segment(dir.path());
    let running = std::fs::read(&path).unwrap();
    drop(journal);
    let closed = std::fs::read(&path).unwrap();
    assert!(closed.len() < running.len(), "the room is there while the journal is open, not after");
    let room = &running[closed.len()..];
    assert!(room.iter().all(|&byte| byte == 0));
    let with = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap();
    let open = || Journal::open(dir.path(), &Config::default()).unwrap();

    with(&running);
    let looked = crate::verify::segments(dir.path()).unwrap()[0].verify(|_| ()).unwrap();
    assert_eq!((looked.records, looked.lost, looked.torn_bytes), (10, 0, 0));
    let journal = open();
    assert_eq!((journal.torn_bytes(), journal.durable_end()), (0, 10));
    fill(&journal, 10, 1);
    expect_all(&journal, 11);
    drop(journal);

    // The disk wrote the second half of a group and not the first.
    let mut torn = running.clone();
    torn[closed.len() + 40..closed.len() + 60].fill(7);
    with(&torn);
    let journal = open();
    assert_eq!(journal.torn_bytes(), room.len() as u64);
    assert!(dir.path().join("torn-10-0.bin").exists());
    expect_all(&journal, 10);
    fill(&journal, 10, 1);
    expect_all(&journal, 11);
}

#[test]
fn a_finished_segment_keeps_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { segment_bytes_max: 300 << 10, ..Config::default() };
    let journal = Journal::open(dir.path(), &config).unwrap();
    for _ in 0..5 {
        journal.append_blocking(vec![Bytes::from(vec![7; 100 << 10])]).unwrap();
    }
    let segments = crate::verify::segments(dir.path()).unwrap();
    let bytes: Vec<_> = segments.iter().map(|segment| segment.bytes).collect();
    let two = 2 * (8 + (100 << 10)) + crate::segment::SEGMENT_HEADER;
    assert_eq!(bytes[..2], [two, two], "{bytes:?}");
    assert!(bytes[2] <= 300 << 10, "{bytes:?}");
    assert_eq!(all(&journal).len(), 5);
}

#[test]
fn a_damaged_finished_segment_is_named_not_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &small()).unwrap();
    fill(&journal, 0, 60);
    drop(journal);
    let path = dir.path().join(Segment::name(0));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let journal = Journal::open(dir.path(), &small()).unwrap();
    let mut next = 0;
    let error = loop {
        match journal.read(next, 1) {
            Ok(some) => next = some.last().unwrap().0 + 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
}

#[test]
fn a_segment_of_a_newer_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Journal::open(dir.path(), &small()).unwrap());
    let path = last_segment(dir.path());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[7] = b'9';
    std::fs::write(&path, &bytes).unwrap();
    let refused = Journal::open(dir.path(), &small()).err().unwrap();
    assert!(matches!(refused, JournalError::UnknownFormat(_)), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_ever_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &Config::default()).unwrap();
    fill(&journal, 0, 3);
    journal.faults().sync_fails.store(true, Ordering::Relaxed);
    let failed = journal.append_blocking(vec![record(3)]).unwrap_err();
    assert!(matches!(failed, JournalError::Failed(_)));
    journal.faults().sync_fails.store(false, Ordering::Relaxed);
    let still = journal.append_blocking(vec![record(3)]).unwrap_err();
    assert!(matches!(still, JournalError::Failed(_)));
    assert!(matches!(journal.state(), State::Failed(_)));
    assert_eq!(journal.durable_end(), 3);
}

#[test]
fn a_full_disk_holds_the_answer_back_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &Config::default()).unwrap();
    journal.faults().disk_full.store(true, Ordering::Relaxed);
    let waiting = std::thread::spawn({
        let journal = journal.clone();
        move || journal.append_blocking(vec![record(0)])
    });
    let mut state = journal.watch_state();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { state.wait_for(|s| *s == State::Full).await.map(|_| ()) }).unwrap();
    assert!(!waiting.is_finished());
    journal.faults().disk_full.store(false, Ordering::Relaxed);
    assert_eq!(waiting.join().unwrap().unwrap().next(), 1);
    assert_eq!(journal.state(), State::Healthy);
    expect_all(&journal, 1);
}

#[test]
fn a_cursor_survives_and_a_damaged_one_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &small()).unwrap();
    assert_eq!(journal.cursor("history"), None);
    journal.set_cursor("history", 42).unwrap();
    assert!(matches!(journal.set_cursor("../x", 1), Err(JournalError::BadCursorName(_))));
    drop(journal);
    let journal = Journal::open(dir.path(), &small()).unwrap();
    assert_eq!(journal.cursor("history"), Some(42));
    drop(journal);
    std::fs::write(dir.path().join("cursors/history"), b"43").unwrap();
    assert!(matches!(Journal::open(dir.path(), &small()), Err(JournalError::Damaged { .. })));
}

#[test]
fn a_segment_goes_only_when_every_cursor_passed_it_and_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &small()).unwrap();
    fill(&journal, 0, 100);
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    assert_eq!(journal.prune(later).unwrap(), 0, "no follower has said anything");
    journal.set_cursor("history", 100).unwrap();
    journal.set_cursor("engine", 40).unwrap();
    assert_eq!(journal.prune(SystemTime::UNIX_EPOCH).unwrap(), 0, "nothing is old");
    assert!(0 < journal.prune(later).unwrap());
    assert!(0 < journal.oldest() && journal.oldest() <= 40);
    assert!(matches!(journal.read(0, 1), Err(JournalError::Gone { .. })));
    journal.set_cursor("engine", 100).unwrap();
    journal.prune(later).unwrap();
    let left = journal.oldest();
    assert_eq!(all(&journal).len() as u64, 100 - left);
    drop(journal);
    let journal = Journal::open(dir.path(), &small()).unwrap();
    assert_eq!((journal.oldest(), journal.durable_end()), (left, 100));
}

#[test]
fn a_journal_kept_by_size_loses_its_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &small()).unwrap();
    fill(&journal, 0, 100);
    assert!(0 < journal.prune_to(1_500).unwrap());
    assert!(journal.disk_bytes() <= 1_500);
    assert_eq!(all(&journal).last().unwrap().0, 99);
    journal.prune_to(0).unwrap();
    assert_eq!(all(&journal).last().unwrap().0, 99, "the active segment stays");
}

#[test]
fn two_processes_cannot_write_one_journal() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Journal::open(dir.path(), &small()).unwrap();
    assert!(matches!(Journal::open(dir.path(), &small()), Err(JournalError::InUse(_))));
}

#[test]
fn an_impossible_record_is_refused_before_it_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &small()).unwrap();
    for bad in [Bytes::new(), Bytes::from(vec![1; RECORD_BYTES_MAX + 1])] {
        assert!(matches!(journal.append_blocking(vec![bad]), Err(JournalError::BadRecord(_))));
    }
    fill(&journal, 0, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The power may go at any byte of the last write, and the disk may leave anything behind it.
    #[test]
    fn a_cut_anywhere_keeps_every_whole_record(keep in 0.0..1.0_f64, junk in prop::collection::vec(any::<u8>(), 0..40)) {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), &small()).unwrap();
        fill(&journal, 0, 40);
        drop(journal);
        let path = last_segment(dir.path());
        let first = Segment::parse_name(path.file_name().unwrap().to_str().unwrap()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let cut = (keep * bytes.len() as f64) as usize;
        let mut torn = bytes[..cut].to_vec();
        torn.extend(&junk);
        std::fs::write(&path, torn).unwrap();
        let journal = Journal::open(dir.path(), &small()).unwrap();
        let end = journal.durable_end();
        prop_assert!(first <= end && end <= 40);
        expect_all(&journal, end);
        fill(&journal, end, 5);
        drop(journal);
        expect_all(&Journal::open(dir.path(), &small()).unwrap(), end + 5);
    }
}

#[test]
fn a_push_knows_its_position_at_once_and_is_reached_when_it_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &small()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for n in 0..50 {
        assert_eq!(journal.push(vec![record(n)]).unwrap(), n + 1);
    }
    assert_eq!(journal.push(vec![record(50), record(51)]).unwrap(), 52);
    let durable = runtime.block_on(journal.reach(52)).unwrap();
    assert_eq!((durable.next(), journal.durable_end()), (52, 52));
    expect_all(&journal, 52);
    drop(journal);
    let journal = Journal::open(dir.path(), &small()).unwrap();
    assert_eq!(journal.push(vec![record(52)]).unwrap(), 53);
}

#[test]
fn a_push_is_not_reached_on_a_full_disk_and_refused_after_a_failed_sync() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &small()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    journal.faults().disk_full.store(true, Ordering::Relaxed);
    let end = journal.push(vec![record(0)]).unwrap();
    let soon = Duration::from_millis(50);
    let waited = runtime.block_on(async { tokio::time::timeout(soon, journal.reach(end)).await });
    assert!(waited.is_err(), "reached although the disk is full");
    journal.faults().disk_full.store(false, Ordering::Relaxed);
    runtime.block_on(journal.reach(end)).unwrap();
    journal.faults().sync_fails.store(true, Ordering::Relaxed);
    let end = journal.push(vec![record(1)]).unwrap();
    assert!(matches!(runtime.block_on(journal.reach(end)), Err(JournalError::Failed(_))));
    assert!(matches!(journal.push(vec![record(2)]), Err(JournalError::Failed(_))));
}
