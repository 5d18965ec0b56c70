//! The gatekeeper that the province's book is: stations by their keys and certificates, people and services by their
//! tokens, and claim codes.

use std::sync::Arc;

use domain::{Station, StationCode};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use registry::{
    Claimed, Login, Registry, RegistryError, StationKey, Token, TokenGrant, Verifier, secret,
};

use super::gatekeeper::{
    Admission, BadGrant, Credential, Denied, Entry, Gatekeeper, Grant, Provable, Review, Verb,
};

impl Gatekeeper for Registry {
    fn login<'a>(
        &'a self,
        user: &'a str,
        password: &'a [u8],
    ) -> BoxFuture<'a, Result<Admission, Denied>> {
        async move {
            let said = std::str::from_utf8(password).map_err(|_| Denied::WrongKey)?;
            match StationCode::new(user) {
                Ok(code) => match Self::login(self, &code, said).await.map_err(unreadable)? {
                    Login::Welcome(station) => Ok(station_by_key(station, secret::hash(said))),
                    Login::Disabled => Err(Denied::Disabled),
                    Login::WrongKey => Err(Denied::WrongKey),
                    Login::UnknownStation => token(self, user, said).await,
                },
                Err(_) => token(self, user, said).await,
            }
        }
        .boxed()
    }

    fn provable<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Option<Provable>, Denied>> {
        async move {
            if let Ok(code) = StationCode::new(user)
                && let Some(found) = Self::provable(self, &code).await.map_err(unreadable)?
            {
                let key = |(hash, verifier): ([u8; 32], Verifier)| {
                    (Credential::Key { station: code.clone(), hash }, verifier)
                };
                let keys = found.keys.into_iter().map(key).collect();
                return Ok(Some(Provable { entry: Entry::Station(Arc::new(found.station)), keys }));
            }
            let found = self.token(user).await.map_err(unreadable)?;
            Ok(found.map(|token| {
                let keys = vec![(Credential::Token { hash: token.hash }, token.verifier.clone())];
                Provable { entry: guest(token), keys }
            }))
        }
        .boxed()
    }

    fn certified<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Admission, Denied>> {
        async move {
            let code = StationCode::new(name).map_err(|_| Denied::WrongKey)?;
            match self.admit_station(&code).await.map_err(unreadable)? {
                Login::Welcome(station) => Ok(Admission {
                    credential: Credential::Certificate { station: code },
                    entry: Entry::Station(Arc::new(station)),
                }),
                Login::Disabled => Err(Denied::Disabled),
                Login::WrongKey | Login::UnknownStation => Err(Denied::WrongKey),
            }
        }
        .boxed()
    }

    fn may_claim<'a>(
        &'a self,
        user: &'a str,
        code: &'a str,
    ) -> BoxFuture<'a, Result<bool, Denied>> {
        async move {
            let Ok(station) = StationCode::new(user) else { return Ok(false) };
            Self::may_claim(self, &station, code).await.map_err(unreadable)
        }
        .boxed()
    }

    fn claim<'a>(&'a self, code: &'a str) -> BoxFuture<'a, Result<Option<StationKey>, Denied>> {
        async move {
            match Self::claim(&self.by("claim"), code).await.map_err(unreadable)? {
                Claimed::Key(_, key) => Ok(Some(key)),
                Claimed::No => Ok(None),
            }
        }
        .boxed()
    }

    fn review(&self, held: Vec<Credential>) -> BoxFuture<'_, Result<Review, Denied>> {
        async move {
            let now = self.openings().await.map_err(unreadable)?;
            let opens = |credential: &Credential| match credential {
                Credential::Standing => true,
                Credential::Key { station, hash } => {
                    now.stations.contains(station) && now.secrets.contains(hash)
                }
                Credential::Token { hash } => now.secrets.contains(hash),
                Credential::Certificate { station } => now.stations.contains(station),
            };
            let gone = (0..held.len()).filter(|&place| !opens(&held[place])).collect();
            Ok(Review { gone, next_end: now.next_end })
        }
        .boxed()
    }
}

async fn token(book: &Registry, user: &str, said: &str) -> Result<Admission, Denied> {
    let token = book.check_token(user, said).await.map_err(unreadable)?.ok_or(Denied::WrongKey)?;
    let credential = Credential::Token { hash: token.hash };
    Ok(Admission { entry: guest(token), credential })
}

fn station_by_key(station: Station, hash: [u8; 32]) -> Admission {
    let credential = Credential::Key { station: station.code.clone(), hash };
    Admission { entry: Entry::Station(Arc::new(station)), credential }
}

fn guest(token: Token) -> Entry {
    let grants: Result<Vec<Grant>, BadGrant> = token.grants.iter().map(grant).collect();
    // Without one of its refusals a token might do more than was meant, so it may do nothing.
    let grants = grants.unwrap_or_else(|error| {
        tracing::error!(token = token.name, %error, "a token's grants do not read; it has none");
        Vec::new()
    });
    Entry::Guest { name: token.name, grants }
}

fn grant(kept: &TokenGrant) -> Result<Grant, BadGrant> {
    let verb = Verb::parse(&kept.verb).ok_or_else(|| BadGrant::Verb(kept.verb.clone()))?;
    let grant = Grant::new(&kept.filter, verb)?;
    Ok(if kept.denies { grant.denied() } else { grant })
}

fn unreadable(error: RegistryError) -> Denied {
    let error: &dyn std::error::Error = &error;
    tracing::error!(error, "the registry cannot be read");
    Denied::Unavailable
}
