//! The registry as the door's gatekeeper: a station's user name is its code and its password is its key.

use std::sync::Arc;

use domain::StationCode;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use registry::{Login, Registry};

use super::{Denied, Entry, Gatekeeper};

impl Gatekeeper for Registry {
    fn login<'a>(
        &'a self,
        user: &'a str,
        password: &'a [u8],
    ) -> BoxFuture<'a, Result<Entry, Denied>> {
        async move {
            // A name or key that cannot be one is as wrong as one that is not in the book.
            let Ok(code) = StationCode::new(user) else { return Err(Denied::WrongKey) };
            let Ok(key) = std::str::from_utf8(password) else { return Err(Denied::WrongKey) };
            match Registry::login(self, &code, key).await {
                Ok(Login::Welcome(station)) => Ok(Entry::Station(Arc::new(station))),
                Ok(Login::WrongKey | Login::UnknownStation) => Err(Denied::WrongKey),
                Err(error) => {
                    tracing::error!(%error, station = user, "the registry did not answer a login");
                    Err(Denied::Unavailable)
                }
            }
        }
        .boxed()
    }
}
