//! Who may come in: keys and their grace, tokens, claim codes, and what opens at a moment.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{Clock, Station, StationCode, Timestamp};
use registry::{Claimed, Login, Registry, RegistryError, TokenGrant, Verifier, secret};

/// A clock that stands until it is moved.
#[derive(Default)]
struct Held(AtomicI64);

impl Held {
    fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000 + self.0.load(Ordering::Relaxed))
    }
}

const DAY: Duration = Duration::from_hours(24);

async fn book() -> (Registry, Arc<Held>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Held::default());
    let book = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
    (book.with_clock(clock.clone()).by("cli"), clock, folder)
}

fn code(text: &str) -> StationCode {
    StationCode::new(text).unwrap()
}

fn grant(verb: &str, filter: &str) -> TokenGrant {
    TokenGrant { verb: verb.to_owned(), filter: filter.to_owned(), denies: false }
}

async fn opens(book: &Registry, key: &str) -> bool {
    let login = book.login(&code("xuan-hoa"), key).await.unwrap();
    matches!(login, Login::Welcome(_))
}

#[tokio::test]
async fn in_its_grace_the_old_key_opens_beside_the_new_one_and_then_no_more() {
    let (book, clock, _folder) = book().await;
    let first = book.add_station(&Station::new(code("xuan-hoa"))).await.unwrap();
    let second = book.rotate_key_with_grace(&code("xuan-hoa"), DAY).await.unwrap();
    assert!(opens(&book, first.reveal()).await && opens(&book, second.reveal()).await);
    let openings = book.openings().await.unwrap();
    assert_eq!(openings.secrets.len(), 2);
    assert_eq!(openings.next_end, Some(clock.now() + DAY));
    clock.pass(DAY);
    assert!(!opens(&book, first.reveal()).await && opens(&book, second.reveal()).await);
    assert_eq!(book.openings().await.unwrap().next_end, None);
}

#[tokio::test]
async fn a_station_never_has_more_than_two_keys() {
    let (book, _clock, _folder) = book().await;
    let first = book.add_station(&Station::new(code("xuan-hoa"))).await.unwrap();
    let second = book.rotate_key_with_grace(&code("xuan-hoa"), DAY).await.unwrap();
    let third = book.rotate_key_with_grace(&code("xuan-hoa"), DAY).await.unwrap();
    for (key, opened) in [(&first, false), (&second, true), (&third, true)] {
        assert_eq!(opens(&book, key.reveal()).await, opened);
    }
    assert!(book.revoke_keys(&code("xuan-hoa")).await.unwrap());
    assert!(!book.revoke_keys(&code("xuan-hoa")).await.unwrap());
    assert!(!opens(&book, third.reveal()).await && !opens(&book, second.reveal()).await);
    let year = book.rotate_key_with_grace(&code("xuan-hoa"), 365 * DAY).await.unwrap_err();
    assert!(year.to_string().contains("90 days"), "{year}");
}

#[tokio::test]
async fn a_key_and_its_successor_are_challenged_with_one_salt() {
    let (book, _clock, _folder) = book().await;
    let first = book.add_station(&Station::new(code("xuan-hoa"))).await.unwrap();
    let second = book.rotate_key_with_grace(&code("xuan-hoa"), DAY).await.unwrap();
    let keys = book.provable(&code("xuan-hoa")).await.unwrap().unwrap().keys;
    assert_eq!(keys.len(), 2);
    for (hash, verifier) in &keys {
        let key = [&first, &second].into_iter().find(|key| secret::hash(key.reveal()) == *hash);
        assert_eq!(Verifier::new(key.unwrap().reveal(), verifier.salt), *verifier);
    }
    assert!(book.provable(&code("my-tho")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_disabled_station_is_not_let_in_until_it_is_enabled() {
    let (book, _clock, _folder) = book().await;
    let key = book.add_station(&Station::new(code("xuan-hoa"))).await.unwrap();
    let version = book.version().await.unwrap();
    assert!(book.enable_station(&code("xuan-hoa"), false).await.unwrap());
    assert!(!book.enable_station(&code("xuan-hoa"), false).await.unwrap());
    assert!(version < book.version().await.unwrap());
    let login = |key: String| {
        let book = book.clone();
        async move { book.login(&code("xuan-hoa"), &key).await.unwrap() }
    };
    assert_eq!(login(key.reveal().to_owned()).await, Login::Disabled);
    assert_eq!(login("wrong".to_owned()).await, Login::WrongKey);
    assert_eq!(book.admit_station(&code("xuan-hoa")).await.unwrap(), Login::Disabled);
    assert!(book.provable(&code("xuan-hoa")).await.unwrap().is_none());
    assert!(book.openings().await.unwrap().stations.is_empty());
    assert_eq!(book.disabled_stations().await.unwrap(), [code("xuan-hoa")]);
    assert!(book.enable_station(&code("xuan-hoa"), true).await.unwrap());
    assert!(opens(&book, key.reveal()).await);
    book.enable_station(&code("my-tho"), true).await.unwrap_err();
}

#[tokio::test]
async fn a_token_opens_with_its_grants_until_it_is_revoked_or_ends() {
    let (book, clock, _folder) = book().await;
    let mut grants = vec![grant("read", "latest/#"), grant("readwrite", "partners/x/#")];
    grants.push(TokenGrant { denies: true, ..grant("read", "latest/xuan-hoa/#") });
    let token = book.add_token("board", &grants, None).await.unwrap();
    let found = book.check_token("board", token.reveal()).await.unwrap().unwrap();
    assert_eq!(found.grants, grants);
    for (name, said) in [("board", "wrong"), ("nobody", token.reveal())] {
        assert!(book.check_token(name, said).await.unwrap().is_none(), "{name}");
    }
    assert!(book.revoke_token("board").await.unwrap());
    assert!(!book.revoke_token("board").await.unwrap());
    assert!(book.check_token("board", token.reveal()).await.unwrap().is_none());
    assert!(book.openings().await.unwrap().secrets.is_empty());
    book.revoke_token("nobody").await.unwrap_err();

    let end = clock.now() + DAY;
    let token = book.add_token("board", &grants, Some(end)).await.unwrap();
    assert!(book.check_token("board", token.reveal()).await.unwrap().is_some());
    assert_eq!(book.openings().await.unwrap().next_end, Some(end));
    clock.pass(DAY);
    assert!(book.check_token("board", token.reveal()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_token_that_cannot_be_meant_is_refused() {
    let (book, _clock, _folder) = book().await;
    book.add_station(&Station::new(code("xuan-hoa"))).await.unwrap();
    let read = [grant("read", "latest/#")];
    book.add_token("board", &read, None).await.unwrap();
    let denial = [TokenGrant { denies: true, ..grant("read", "a") }];
    let many = vec![grant("read", "a"); 65];
    for (name, grants, part) in [
        ("board", &read[..], "is there already"),
        ("xuan-hoa", &read, "is there already"),
        ("Big Board", &read, "1 to 64"),
        ("b", &[], "1 to 64 grants"),
        ("b", &denial, "1 to 64 grants"),
        ("b", &many, "1 to 64 grants"),
        ("b", &[grant("reed", "a")], "read, write or readwrite"),
    ] {
        let error: RegistryError = book.add_token(name, grants, None).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_claim_code_exchanges_for_a_key_once() {
    let (book, clock, _folder) = book().await;
    let before = book.add_station(&Station::new(code("xuan-hoa"))).await.unwrap();
    let stale = book.claim_code(&code("xuan-hoa"), DAY).await.unwrap().code;
    let claim = book.claim_code(&code("xuan-hoa"), DAY).await.unwrap().code;
    assert!(!book.may_claim(&code("xuan-hoa"), &stale).await.unwrap());
    assert!(book.may_claim(&code("xuan-hoa"), &claim).await.unwrap());
    assert!(!book.may_claim(&code("my-tho"), &claim).await.unwrap());
    let typed = format!(" {} ", claim.to_uppercase());
    let Claimed::Key(station, key) = book.claim(&typed).await.unwrap() else { panic!() };
    assert_eq!(station, code("xuan-hoa"));
    assert!(opens(&book, key.reveal()).await && !opens(&book, before.reveal()).await);
    assert_eq!(book.claim(&claim).await.unwrap(), Claimed::No);
    assert_eq!(book.claim("claim-00000-00000-00000-00000").await.unwrap(), Claimed::No);

    let late = book.claim_code(&code("xuan-hoa"), DAY).await.unwrap().code;
    clock.pass(DAY);
    assert_eq!(book.claim(&late).await.unwrap(), Claimed::No);
    assert!(opens(&book, key.reveal()).await);
    book.claim_code(&code("my-tho"), DAY).await.unwrap_err();
    book.claim_code(&code("xuan-hoa"), Duration::ZERO).await.unwrap_err();
}

#[tokio::test]
async fn of_twenty_who_claim_at_once_one_gets_the_key() {
    let (book, _clock, folder) = book().await;
    book.add_station(&Station::new(code("xuan-hoa"))).await.unwrap();
    let claim = book.claim_code(&code("xuan-hoa"), DAY).await.unwrap().code;
    let other = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
    let mut claims = tokio::task::JoinSet::new();
    for n in 0..20 {
        let book = if n % 2 == 0 { book.clone() } else { other.clone() };
        let claim = claim.clone();
        claims.spawn(async move { book.claim(&claim).await });
    }
    let mut keys = 0;
    while let Some(claimed) = claims.join_next().await {
        keys += usize::from(matches!(claimed.unwrap().unwrap(), Claimed::Key(..)));
    }
    assert_eq!(keys, 1);
}
