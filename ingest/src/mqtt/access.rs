//! What a connection carries of its right to be here: its place among the living, how much it may publish, and an
//! exchange in which it proves again who it is (MQTT 5, section 4.12.1).

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::counters;
use super::door::Shared;
use super::end::End;
use super::gatekeeper::{Denied, Provable};
use super::live::Presence;
use super::meter::Meter;
use super::peer::Peer;
use super::recognise::challenge;
use super::scram::{self, Challenge, ClientFirst};
use super::wire::{self, Bad};

/// See the module.
pub(super) struct Access {
    pub(super) presence: Presence,
    pub(super) meter: Meter,
    /// The method of its CONNECT, which is the only one it may use again.
    pub(super) method: Option<&'static str>,
    pub(super) proving: Proving,
}

/// How far another proof has come.
#[derive(Default)]
pub(super) enum Proving {
    #[default]
    Not,
    /// The book is asked.
    Asking(ClientFirst, BoxFuture<'static, Result<Option<Provable>, Denied>>),
    /// The client is asked.
    Asked(Challenge, Box<Provable>),
}

impl Access {
    /// The client's next word of an exchange. Its answer goes into `to`.
    pub(super) fn hear(
        &mut self,
        auth: &wire::Auth,
        peer: &Peer,
        shared: &Arc<Shared>,
        to: &mut bytes::BytesMut,
    ) -> Result<(), End> {
        if self.method.is_none() || auth.method.as_deref() != self.method {
            return Err(Bad::Protocol("AUTH with another method than CONNECT").into());
        }
        match (auth.code, std::mem::take(&mut self.proving)) {
            (0x19, Proving::Not) => {
                let first = ClientFirst::read(&auth.data).map_err(|_| not_proved())?;
                // Who somebody is does not change while they are connected.
                if first.user != peer.name() {
                    return Err(not_proved());
                }
                let (gatekeeper, user) = (Arc::clone(&shared.gatekeeper), first.user.clone());
                let asking = async move { gatekeeper.provable(&user).await };
                self.proving = Proving::Asking(first, asking.boxed());
                Ok(())
            }
            (0x18, Proving::Asked(asked, found)) => {
                let verifiers = found.keys.iter().map(|(_, verifier)| verifier);
                let (place, last) = asked.check(&auth.data, verifiers).map_err(|_| not_proved())?;
                self.presence.renew(found.keys[place].0.clone());
                wire::auth(to, 0x00, scram::METHOD, &last);
                counters::authenticated("proved");
                Ok(())
            }
            _ => Err(Bad::Protocol("AUTH out of turn").into()),
        }
    }

    /// Has the book answered? Then the challenge goes into `to`.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut bytes::BytesMut,
    ) -> Result<(), End> {
        let Proving::Asking(_, asking) = &mut self.proving else { return Ok(()) };
        let Poll::Ready(found) = asking.as_mut().poll(cx) else { return Ok(()) };
        let Proving::Asking(first, _) = std::mem::take(&mut self.proving) else { return Ok(()) };
        let Ok(Some(found)) = found else { return Err(not_proved()) };
        let user = first.user.clone();
        let asked = challenge(first, &user, Some(&found)).map_err(|_| not_proved())?;
        wire::auth(to, 0x18, scram::METHOD, &asked.text);
        self.proving = Proving::Asked(asked, Box::new(found));
        Ok(())
    }
}

fn not_proved() -> End {
    counters::authenticated("failed");
    End::NotProved
}
