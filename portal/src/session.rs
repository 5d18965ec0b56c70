//! Who is asking. A session is a random number in a cookie; only its hash is stored, and the token that forms carry
//! is derived from it, so that it need not be stored at all.
//!
//! The cookie is `__Host-saltline`, `Secure`, `HttpOnly`, `SameSite=Lax`. Where the portal itself listens on plain
//! loopback and no `https` address is configured, it is `saltline` without `Secure`: otherwise nobody could sign in to
//! the demo. On any other plain listener the cookie stays `Secure`, and a TLS proxy has to stand before it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use blake3::Hash;
use rand::RngCore;
use subtle::ConstantTimeEq;

use crate::problem::Problem;
use crate::site::Site;
use crate::view::{Role, Trouble, User};

/// One shift and a half: a session ends without anybody doing anything.
pub const SESSION_LASTS: Duration = Duration::from_secs(12 * 3_600);

/// How readers reach us, as far as cookies are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Over TLS, ours or a proxy's.
    Tls,
    /// Plain, on this machine only.
    PlainLoopback,
}

impl Transport {
    /// What holds for a listener at `listens`, reached as `public_url`.
    #[must_use]
    pub fn of(listens: SocketAddr, public_url: Option<&str>) -> Self {
        let https = public_url.is_some_and(|url| url.starts_with("https://"));
        if listens.ip().is_loopback() && !https { Self::PlainLoopback } else { Self::Tls }
    }

    const fn cookie(self) -> &'static str {
        match self {
            Self::Tls => "__Host-saltline",
            Self::PlainLoopback => "saltline",
        }
    }

    fn set(self, value: &str, max_age_s: u64) -> HeaderValue {
        let secure = if self == Self::Tls { "; Secure" } else { "" };
        let cookie = self.cookie();
        let text = format!(
            "{cookie}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}"
        );
        HeaderValue::from_str(&text).expect("hex and plain words")
    }
}

/// The address of the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The address that asked; loopback where no socket is in between.
pub(crate) fn peer(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<Peer>();
    peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip())
}

/// Somebody who has signed in, and by which session.
pub(crate) struct Signed {
    pub(crate) user: User,
    id: Hash,
}

impl Signed {
    /// Who sent this request, if anybody who has signed in.
    pub(crate) async fn from_headers(
        site: &Site,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, Trouble> {
        let Some(id) = session_id(headers, site.transport) else { return Ok(None) };
        let user = site.view.session(stored(id), site.wall_now()).await?;
        Ok(user.map(|user| Self { user, id }))
    }

    /// Begins a new session for `user`: a new number each time, so that nobody can prepare one for somebody else.
    pub(crate) async fn begin(site: &Site, user: &User) -> Result<HeaderValue, Trouble> {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        let id = Hash::from_bytes(bytes);
        let expires = site.wall_now() + SESSION_LASTS;
        site.view.put_session(stored(id), &user.name, expires).await?;
        Ok(site.transport.set(&id.to_hex(), SESSION_LASTS.as_secs()))
    }

    /// Ends this session, here and in the browser.
    pub(crate) async fn end(&self, site: &Site) -> Result<HeaderValue, Trouble> {
        site.view.drop_session(stored(self.id)).await?;
        Ok(site.transport.set("", 0))
    }

    /// The token that every form of this session carries.
    pub(crate) fn csrf(&self) -> String {
        let token = blake3::derive_key("saltline portal 2026-11 form token", self.id.as_bytes());
        Hash::from_bytes(token).to_hex().to_string()
    }

    /// May this session do what `role` may, and did the request come from one of our own forms?
    pub(crate) fn may(&self, role: Role) -> Result<(), Problem> {
        if self.user.role < role {
            let detail = format!("this needs the role {} or above", role.as_str());
            return Err(refuse("role", Problem::forbidden(detail)));
        }
        Ok(())
    }

    /// Did the request come from one of our own forms?
    pub(crate) fn own_form(&self, token: &str) -> Result<(), Problem> {
        if bool::from(self.csrf().as_bytes().ct_eq(token.as_bytes())) {
            return Ok(());
        }
        let detail = "the form's token is missing or of another session; open the page again";
        Err(refuse("csrf", Problem::forbidden(detail)))
    }
}

/// Refuses a request that a page of another site made our reader's browser send.
pub(crate) fn own_site(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin), Some(host)) => {
            origin.split_once("://").is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host))
        }
        _ => false,
    };
    if foreign {
        let detail = "the request comes from another site's page";
        return Err(refuse("foreign_site", Problem::forbidden(detail)));
    }
    Ok(())
}

/// Every refusal of this room is counted by its reason: `csrf`, `foreign_site`, `role`, `too_often`, `busy`,
/// `wrong_password`.
pub(crate) fn refuse(reason: &'static str, problem: Problem) -> Problem {
    metrics::counter!("saltline_http_refused_total", "reason" => reason).increment(1);
    tracing::info!(reason, detail = problem.detail(), "a request was refused");
    problem
}

/// Who is signed in, for the API.
pub(crate) async fn signed(site: &Arc<Site>, headers: &HeaderMap) -> Result<Signed, Problem> {
    Signed::from_headers(site, headers).await?.ok_or_else(Problem::unauthorized)
}

fn session_id(headers: &HeaderMap, transport: Transport) -> Option<Hash> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, id) = pairs.find(|(name, _)| name.trim() == transport.cookie())?;
    Hash::from_hex(id.trim()).ok()
}

fn stored(id: Hash) -> [u8; 32] {
    *blake3::hash(id.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_loopback_goes_without_secure() {
        let loopback = "127.0.0.1:8080".parse().unwrap();
        let open = "0.0.0.0:8080".parse().unwrap();
        assert_eq!(Transport::of(loopback, None), Transport::PlainLoopback);
        assert_eq!(Transport::of(loopback, Some("https://man.example.vn")), Transport::Tls);
        assert_eq!(Transport::of(open, None), Transport::Tls);
        let cookie = Transport::Tls.set("00", 5);
        let expected = "__Host-saltline=00; Path=/; Max-Age=5; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(cookie.to_str().unwrap(), expected);
    }

    #[test]
    fn another_sites_form_is_told_apart() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|&(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect()
        };
        for own in [
            &[("sec-fetch-site", "same-origin")][..],
            &[("origin", "http://a.vn"), ("host", "a.vn")],
            &[],
        ] {
            assert!(own_site(&headers(own)).is_ok(), "{own:?}");
        }
        for foreign in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("origin", "http://b.vn"), ("host", "a.vn")],
            &[("origin", "null"), ("host", "a.vn")],
        ] {
            assert!(own_site(&headers(foreign)).is_err(), "{foreign:?}");
        }
    }
}
