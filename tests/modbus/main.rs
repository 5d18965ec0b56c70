//! Modbus from a slave that misbehaves to the journal: slaves of `firmware-sim` on real sockets and pseudo-terminals,
//! the lines of `ingest`. What another program's slaves say stands in tests/peers/test_modbus.py.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod stand; // lines, slaves and a journal
mod lines; // one dead, one unplugged, one refusing
mod faults; // no wrong value

/// 10,000 polls and more: 36 lines with three slaves each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_taken_for_another_whatever_the_line_does() {
    let polls = faults::polls(10_000);
    let found = faults::run(polls).await;
    println!("{found}");
    assert_eq!(found.wrong, Vec::<String>::new(), "{found}");
    assert!(polls <= found.turns && polls < found.readings * 2, "{found}");
    for dial in [
        "late",
        "held",
        "duplicate",
        "duplicate_held",
        "truncated",
        "corrupted",
        "noise",
        "exception",
        "silence",
    ] {
        assert!(0 < found.injected[dial], "{dial} never struck: {found}");
    }
}
