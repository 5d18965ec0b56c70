//! Who has to know. A person whose duty is by SMS keeps a phone, and one whose duty is by e-mail an address: a
//! warning must find its way.

use domain::{ChannelKind, Language, Person, PersonId};
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::store::Change;
use crate::{Noun, Registry, RegistryError};

/// RFC 5321, 4.5.3.1.3: a path has 256 octets with its brackets.
const EMAIL_BYTES_MAX: usize = 254;

impl Registry {
    /// Every person of the roster, by id.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn people(&self) -> Result<Vec<Person>, RegistryError> {
        let rows = sqlx::query("SELECT * FROM people ORDER BY id").fetch_all(&self.pool).await?;
        rows.iter().map(person).collect()
    }

    /// Writes a person, new or known; returns whether they are new.
    ///
    /// # Errors
    /// [`RegistryError::BadValue`] where the phone or address cannot be one, or a duty would lose its way.
    pub async fn put_person(&self, person: &Person) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        let created = put(&mut change, person).await?;
        change.finish().await?;
        Ok(created)
    }

    /// Erases a person and their duties.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such person.
    pub async fn drop_person(&self, id: &PersonId) -> Result<(), RegistryError> {
        let mut change = self.change().await?;
        let Some(before) = find(change.sql(), id).await? else {
            return Err(RegistryError::not_found(Noun::Person, id));
        };
        let sql = "DELETE FROM people WHERE id = $1";
        sqlx::query(sql).bind(id.as_str()).execute(change.sql()).await?;
        change.record("person.drop", &text(&before), "").await?;
        change.finish().await?;
        Ok(())
    }
}

pub(crate) async fn put(change: &mut Change, person: &Person) -> Result<bool, RegistryError> {
    check(person)?;
    let before = find(change.sql(), &person.id).await?;
    if before.as_ref() == Some(person) {
        return Ok(false);
    }
    check_duties(change.sql(), person).await?;
    let sql = "INSERT INTO people (id, name, phone, email, language) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (id) DO UPDATE SET name = excluded.name, phone = excluded.phone, \
               email = excluded.email, language = excluded.language";
    sqlx::query(sql)
        .bind(person.id.as_str())
        .bind(&person.name)
        .bind(&person.phone)
        .bind(&person.email)
        .bind(language_text(person.language))
        .execute(change.sql())
        .await?;
    let was = before.as_ref().map_or(String::new(), text);
    change.record("person.put", &was, &text(person)).await?;
    Ok(before.is_none())
}

pub(crate) async fn find(
    sql: &mut SqliteConnection,
    id: &PersonId,
) -> Result<Option<Person>, RegistryError> {
    let query = sqlx::query("SELECT * FROM people WHERE id = $1").bind(id.as_str());
    query.fetch_optional(sql).await?.as_ref().map(person).transpose()
}

/// Can this person be reached over the channel?
pub(crate) fn reaches(person: &Person, channel: ChannelKind) -> bool {
    match channel {
        ChannelKind::Email => person.email.is_some(),
        ChannelKind::Sms => person.phone.is_some(),
    }
}

async fn check_duties(sql: &mut SqliteConnection, person: &Person) -> Result<(), RegistryError> {
    let query = sqlx::query_scalar("SELECT DISTINCT channel FROM duties WHERE person = $1");
    let channels: Vec<String> = query.bind(person.id.as_str()).fetch_all(sql).await?;
    let lost = |channel: &String| {
        ChannelKind::parse(channel).is_some_and(|channel| !reaches(person, channel))
    };
    match channels.iter().find(|channel| lost(channel)) {
        Some(channel) => {
            let why = format!("has a duty by {channel} and would have no way to be reached by it");
            Err(RegistryError::bad(Noun::Person, &person.id, why))
        }
        None => Ok(()),
    }
}

fn check(person: &Person) -> Result<(), RegistryError> {
    let bad = |why: &str| Err(RegistryError::bad(Noun::Person, &person.id, why));
    if person.name.trim().is_empty() || person.name.chars().any(char::is_control) {
        return bad("the name is one line and not empty");
    }
    if !person.phone.as_deref().is_none_or(is_phone) {
        return bad("the phone is a number in E.164, as +84900000001");
    }
    if !person.email.as_deref().is_none_or(is_email) {
        return bad("the email is an address, as keeper@example.org");
    }
    Ok(())
}

/// ITU-T E.164: a plus, then up to 15 digits of which the first is not 0.
fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0')
}

/// Enough to catch a slip and to keep a line break out of a header; the mail server has the last word.
fn is_email(text: &str) -> bool {
    let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c));
    let halves = text.split_once('@');
    text.len() <= EMAIL_BYTES_MAX
        && clean
        && halves
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
}

fn person(row: &SqliteRow) -> Result<Person, RegistryError> {
    let (id, language): (String, String) = (row.try_get("id")?, row.try_get("language")?);
    Ok(Person {
        name: row.try_get("name")?,
        phone: row.try_get("phone")?,
        email: row.try_get("email")?,
        language: language_named(&language)
            .ok_or_else(|| RegistryError::damaged(Noun::Person, &id, "its language is unknown"))?,
        id: PersonId::new(&id).map_err(|why| RegistryError::damaged(Noun::Person, &id, why))?,
    })
}

/// The languages as the pack and the store write them.
pub(crate) const LANGUAGES: [(&str, Language); 3] = [
    ("vi", Language::Vietnamese),
    ("vi-unmarked", Language::VietnameseUnmarked),
    ("en", Language::English),
];

fn language_text(language: Language) -> &'static str {
    match language {
        Language::Vietnamese => "vi",
        Language::VietnameseUnmarked => "vi-unmarked",
        Language::English => "en",
    }
}

pub(crate) fn language_named(text: &str) -> Option<Language> {
    LANGUAGES.into_iter().find(|(name, _)| *name == text).map(|(_, language)| language)
}

/// For the audit, which outlives an erased person: the end of the number tells two numbers apart and rings nowhere.
fn text(person: &Person) -> String {
    let end = |phone: &String| format!("…{}", &phone[phone.len().saturating_sub(3)..]);
    json!({
        "id": person.id.as_str(), "phone": person.phone.as_ref().map(end),
        "email": person.email.as_ref().map(|_| "…"), "language": language_text(person.language),
    })
    .to_string()
}
