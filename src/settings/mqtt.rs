//! The front door's part of the configuration: where it listens, whom it lets in without a key, and its limits.

use std::net::SocketAddr;
use std::path::PathBuf;

use ingest::mqtt::{Config, Grant, QueuePolicy, Rate, TlsConfig};
use toml::Value;

use super::config::Key;
use super::{Layers, SettingsError};

/// Keys of one entry of `[[mqtt.anonymous]]`.
const ANONYMOUS_KEYS: [&str; 2] = ["grants", "deny"];

/// The whole of `[mqtt]`.
pub(super) fn read(layers: &Layers) -> Result<Config, SettingsError> {
    let at = |key| Key { layers, key };
    let listen = at("mqtt.listen").address()?;
    let limits = limits(layers)?;
    Ok(Config {
        listen,
        tls: tls(layers)?,
        anonymous: anonymous(layers, listen)?,
        anonymous_websocket: anonymous_websocket(layers)?,
        anonymous_named: at("mqtt.anonymous_named").yes_or_no()?,
        keep_alive_none: at("mqtt.keep_alive_none").yes_or_no()?,
        keep_alive_s_max: keep_alive(layers)?,
        ..limits
    })
}

fn limits(layers: &Layers) -> Result<Config, SettingsError> {
    let at = |key| Key { layers, key };
    let bytes = |key, least, most| {
        Ok::<_, SettingsError>(usize::try_from(at(key).size(least, most)?).unwrap_or(usize::MAX))
    };
    let login_within = at("mqtt.limits.login_within").duration()?;
    Ok(Config {
        connections_max: at("mqtt.limits.connections").count()?,
        connections_per_address_max: at("mqtt.limits.connections_per_address").count()?,
        handshakes_max: at("mqtt.limits.handshakes").count()?,
        handshakes_per_address_max: at("mqtt.limits.handshakes_per_address").count()?,
        connect_deadline: login_within,
        tls_handshake_deadline: login_within,
        packet_bytes_max: bytes("mqtt.limits.packet", 1 << 10, 1 << 20)?,
        rate: Some(Rate {
            messages_per_s: at("mqtt.limits.publishes_per_s").count()? as u64,
            bytes_per_s: at("mqtt.limits.bytes_per_s").size(1 << 10, 1 << 40)?,
            burst: at("mqtt.limits.burst").duration()?,
            patience: at("mqtt.limits.patience").duration()?,
        }),
        in_flight_max: at("mqtt.limits.in_flight").count_to(u16::MAX)?,
        in_flight_bytes_max: bytes("mqtt.limits.in_flight_bytes", 1 << 10, 1 << 30)?,
        topic_alias_max: at("mqtt.limits.topic_aliases").count_to(u16::MAX)?,
        subscriptions_max: at("mqtt.limits.subscriptions").count()?,
        queue_messages_max: at("mqtt.limits.queue_messages").count()?,
        queue_bytes_max: bytes("mqtt.limits.queue_bytes", 1 << 10, 1 << 30)?,
        queue_policy: queue_policy(layers)?,
        sessions_max: at("mqtt.limits.sessions").count()?,
        session_expiry_max: at("mqtt.limits.session_expiry").duration()?,
        retained_messages_max: at("mqtt.limits.retained").count()?,
        retained_bytes_max: bytes("mqtt.limits.retained_bytes", 1 << 10, 1 << 40)?,
        ..Config::default()
    })
}

fn tls(layers: &Layers) -> Result<Option<TlsConfig>, SettingsError> {
    let at = |key| Key { layers, key };
    let [ca, crl] = ["mqtt.tls_client_ca_file", "mqtt.tls_crl_file"].map(at);
    let client_ca = ca.optional().map(PathBuf::from);
    if client_ca.is_none() && crl.optional().is_some() {
        return Err(crl.bad("revocation lists need mqtt.tls_client_ca_file"));
    }
    if at("mqtt.tls_listen").optional().is_none() {
        return Ok(None);
    }
    Ok(Some(TlsConfig {
        listen: at("mqtt.tls_listen").address()?,
        certificate: PathBuf::from(at("mqtt.tls_cert_file").filled()?),
        key: PathBuf::from(at("mqtt.tls_key_file").filled()?),
        client_ca,
        crl: crl.optional().map(PathBuf::from),
    }))
}

/// Whole seconds, as the wire has them; empty leaves the choice to the client.
fn keep_alive(layers: &Layers) -> Result<Option<u16>, SettingsError> {
    let key = Key { layers, key: "mqtt.keep_alive_max" };
    if key.optional().is_none() {
        return Ok(None);
    }
    let seconds = u16::try_from(key.duration()?.as_secs()).ok().filter(|&seconds| 0 < seconds);
    seconds.map(Some).ok_or_else(|| key.bad("write a duration from 1s to 65535s"))
}

fn queue_policy(layers: &Layers) -> Result<QueuePolicy, SettingsError> {
    let key = Key { layers, key: "mqtt.limits.queue_policy" };
    let policy = QueuePolicy::parse(&key.filled()?);
    policy.ok_or_else(|| key.bad("write drop-newest, drop-oldest or disconnect"))
}

/// What may be done without a key, from all entries together. Only on loopback: anywhere else it would be an open door.
fn anonymous(layers: &Layers, listen: SocketAddr) -> Result<Vec<Grant>, SettingsError> {
    let key = Key { layers, key: "mqtt.anonymous" };
    let entries = key.value().as_array().map(Vec::as_slice).unwrap_or_default();
    if !entries.is_empty() && !listen.ip().is_loopback() {
        let wanted = "anonymous access needs mqtt.listen on loopback, as 127.0.0.1:1883";
        return Err(Key { layers, key: "mqtt.listen" }.bad(wanted));
    }
    let mut grants = Vec::new();
    for entry in entries {
        let entry = entry.as_table().ok_or_else(|| key.bad("write [[mqtt.anonymous]]"))?;
        if let Some(unknown) = entry.keys().find(|name| !ANONYMOUS_KEYS.contains(&&***name)) {
            return Err(SettingsError::UnknownKey {
                origin: key.origin().to_owned(),
                key: format!("mqtt.anonymous.{unknown}"),
                hint: "; an entry has `grants` and `deny`".to_owned(),
            });
        }
        grants.extend(texts(&key, entry.get("grants"))?);
        grants.extend(texts(&key, entry.get("deny"))?.into_iter().map(Grant::denied));
    }
    Ok(grants)
}

/// A list of grants as text.
fn texts(key: &Key<'_>, list: Option<&Value>) -> Result<Vec<Grant>, SettingsError> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let wanted = "write a list such as [\"read:latest/#\", \"write:partners/x/#\"]";
    let list = list.as_array().ok_or_else(|| key.bad(wanted))?;
    let grant = |text: &Value| {
        let text = text.as_str().ok_or_else(|| key.bad(wanted))?;
        Grant::parse(text).map_err(|error| key.bad(&error.to_string()))
    };
    list.iter().map(grant).collect()
}

/// Behind a proxy every client comes from loopback, so this is for a machine of one's own only.
fn anonymous_websocket(layers: &Layers) -> Result<bool, SettingsError> {
    let at = |key| Key { layers, key };
    let key = at("mqtt.anonymous_websocket");
    let wanted = key.yes_or_no()?;
    let alone = at("http.listen").address()?.ip().is_loopback()
        && at("http.public_url").optional().is_none();
    if wanted && !alone {
        return Err(key.bad("it needs http.listen on loopback and no http.public_url"));
    }
    Ok(wanted)
}
