//! What no logger should write, byte by byte.

use std::sync::Arc;
use std::time::Duration;

use domain::Reason;
use ingest::serial::Profile;
use ingest::{Answer, Batch, Pass};
use tokio::io::AsyncWriteExt;

use super::stand::{Stand, line, play, shipped, value};

/// A logger without a check, whose lines begin with nothing.
fn plain(more: &str) -> Arc<Profile> {
    let text = format!(
        "device = \"plain\"\nsource = \"a test\"\nbytes_max = 64\n{more}\n[[sentence]]\nwords = 3\n\
         value = [{{ parameter = \"salinity\", word = 0, unit = \"g/L\", absent = [\"-9999\"] }}, \
         {{ parameter = \"ph\", word = 1, unit = \"\" }}]\n"
    );
    Arc::new(Profile::read("plain", &text).unwrap())
}

/// Writes these bytes on a port that streams, one after the other with a pause, and gives what became of them.
async fn written(profile: &Arc<Profile>, pieces: &[&[u8]]) -> (Vec<String>, Vec<String>) {
    let mut stand = Stand::new();
    let (mut port, path) = stand.port("by-id");
    stand.run(vec![line("line", path, &[("pier", profile, "")], None)]);
    // The port is opened, and rests for longer than `quiet`.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for piece in pieces {
        port.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    stand.stopped().await;
    let told = |reading: &domain::Admitted| {
        let number = |name| value(reading, name).map_or("-".to_owned(), |value| value.to_string());
        format!("{} {}", number("salinity"), number("ph"))
    };
    (stand.stored(None).iter().map(told).collect(), stand.refused())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_broken_line_is_a_letter_with_its_reason_and_the_next_is_read() {
    let long = [b'x'; 200];
    let (stored, refused) = written(
        &plain(""),
        &[
            b"8.85,7.1,ok\r\n",
            b"8.85,7.1\r\n8.85,7.1,a,b\r\n",
            b"8.x5,7.1,ok\r\n",
            b"\xff\xfe\x01,7.1,ok\r\n",
            &long,
            b"end\r\n",
            b"-9999,,ok\r\n",
            b"9.1,7.2,",
        ],
    )
    .await;
    assert_eq!(stored, ["8.85 7.1", "- -"]);
    assert_eq!(
        refused,
        [
            "bad_count 8.85,7.1",
            "bad_count 8.85,7.1,a,b",
            "not_a_number 8.x5,7.1,ok",
            "malformed \\xff\\xfe\\x01,7.1,ok",
            &format!("too_large {}", "x".repeat(66)),
            // The line paused in its middle.
            "malformed 9.1,7.2,",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_whose_beginning_was_not_heard_is_half_a_line() {
    let mut stand = Stand::new();
    let (mut port, path) = stand.port("by-id");
    let mut config = line("line", path, &[("pier", &plain(""), "")], None);
    config.quiet = Duration::from_secs(5);
    stand.run(vec![config]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    port.write_all(b"5.3,7.1,ok\r\n25.3,7.1,ok\r\n").await.unwrap();
    stand.until("the second line", || 1 <= stand.journal.durable_end()).await;
    stand.stopped().await;
    assert_eq!(value(&stand.stored(None)[0], "salinity"), Some(25.3));
    assert_eq!(stand.refused(), ["malformed 5.3,7.1,ok"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_that_only_hums_does_not_fill_the_dead_letters() {
    let noise: Vec<&[u8]> = (0..100).map(|_| &b"\x80\x81\x82\n"[..]).collect();
    let (stored, refused) = written(&plain(""), &noise).await;
    assert_eq!((stored.len(), refused.len()), (0, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_lost_its_battery_or_runs_ahead_is_refused_and_an_old_line_changes_nothing() {
    let dated = "[[sentence]]\nwords = 2\ntime = { words = [0], format = \"%Y-%m-%d %H:%M:%S\", zone = \"+07:00\" }\n\
                 value = [{ parameter = \"salinity\", word = 1, unit = \"g/L\" }]";
    let (stored, refused) = written(
        &plain(dated),
        &[
            b"2000-01-01 00:00:07,8.85\n",
            b"2099-01-01 00:00:07,8.85\n",
            b"31.12.2026,8.85\n",
            b"2026-11-23 07:00:00,8.85\n2026-11-23 07:00:00,8.85\n",
        ],
    )
    .await;
    // The same line twice is one reading for history, which goes by the time.
    assert_eq!(stored, ["8.85 -", "8.85 -"]);
    assert_eq!(
        refused,
        [
            "too_old 2000-01-01 00:00:07,8.85",
            "in_future 2099-01-01 00:00:07,8.85",
            "bad_time 31.12.2026,8.85",
        ]
    );
}

/// What a logger answers to each question in turn; then always the last.
async fn answered(
    profile: &Arc<Profile>,
    answers: &'static [&'static str],
    stored: u64,
    letters: u64,
) -> Stand {
    let mut stand = Stand::new();
    let (port, path) = stand.port("by-id");
    let mut next = 0;
    let stop = stand.stop.clone();
    stand.spawn(async move {
        let playing = play(port, b'\n', move |_| {
            let answer = answers[next.min(answers.len() - 1)];
            next += 1;
            answer.as_bytes().to_vec()
        });
        stop.run_until_cancelled(playing).await;
    });
    let address = if profile.name == "plain" { "" } else { "1" };
    let config =
        line("line", path, &[("pier", profile, address)], Some(Duration::from_millis(100)));
    stand.run(vec![config]);
    stand.until("readings", || stored <= stand.journal.durable_end()).await;
    stand.until("letters", || letters <= stand.dead.durable_end()).await;
    stand
}

const ASKED: &str = "[poll]\nask = \"R\\r\\n\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_not_alone_is_not_believed_and_an_echo_is_no_answer() {
    let answers = &["1,7,a\r\n2,7,b\r\n", "3,7,c\r\n4,7", "R\r\n5,7,d\r\n", "6,7,e\r\n"];
    let stand = answered(&plain(ASKED), answers, 3, 2).await;
    let stored: Vec<_> = stand.stored(None).iter().map(|one| value(one, "salinity")).collect();
    assert_eq!(stored[..2], [Some(5.0), Some(6.0)]);
    assert_eq!(stand.refused()[..2], ["malformed 2,7,b", "malformed 4,7"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_answer_is_asked_for_again_and_one_of_another_address_is_waited_out() {
    let sim = shipped("saltline-sim");
    // The check of the first is wrong, the second is of another logger, the third is right.
    let answers = &["#1,20260312050000,8.850,15200,28.50,1120,12.60,OK*0000\r\n", "#2,x*0000\r\n"];
    let stand = answered(&sim, answers, 0, 2).await;
    assert!(stand.stored(None).is_empty());
    assert!(stand.refused().iter().all(|letter| letter.starts_with("bad_checksum #")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_line_goes_in_when_its_profile_is_mended() {
    let answers = &["8.85,7.1,ok,new\r\n"];
    let mut stand = answered(&plain(ASKED), answers, 0, 1).await;
    stand.stopped().await;
    let letter = stand.letters().remove(0);
    assert_eq!((letter.reason, letter.topic.as_str()), (Reason::BadCount, "serial/line"));
    let station = domain::Station::new(domain::StationCode::new("pier").unwrap());
    let pass = Pass { station: Arc::new(station) };
    let mut batch = Batch::default();
    let again = stand.intake.retake(&pass, &letter, None, &mut batch);
    assert!(matches!(again, Answer::Refused(_)), "still not mended: {again:?}");
    let text = "device = \"plain\"\nsource = \"a test\"\n[poll]\nask = \"R\\r\\n\"\n[[sentence]]\nwords = 4\n\
                value = [{ parameter = \"salinity\", word = 0, unit = \"g/L\" }]";
    let mended = Arc::new(Profile::read("plain", text).unwrap());
    let (_port, path) = stand.port("by-id");
    stand.run(vec![line("line", path, &[("pier", &mended, "")], Some(Duration::from_secs(60)))]);
    let went_in = || {
        let mut batch = Batch::default();
        stand.intake.retake(&pass, &letter, None, &mut batch) == Answer::Stored { refused: None }
    };
    stand.until("the letter goes in", went_in).await;
    stand.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_a_station_that_is_not_in_the_book_is_kept_until_it_is() {
    let mut stand = Stand::new();
    let (mut port, path) = stand.port("by-id");
    stand.run(vec![line("line", path, &[("pier", &plain(""), "")], None)]);
    stand.know([]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    port.write_all(b"8.85,7.1,ok\r\n").await.unwrap();
    stand.until("a letter", || 1 <= stand.dead.durable_end()).await;
    stand.stopped().await;
    assert_eq!(stand.refused(), ["unknown_station 8.85,7.1,ok"]);
}
