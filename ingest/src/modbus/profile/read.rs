//! A profile from its text.

use domain::Status;
use domain::raw::{Kind, Order};
use toml::{Table, Value as Toml};

use super::{Absent, Profile, StatusWord, Value, Write};
use crate::line::{Bad, Keys as At, OfText, ProfileError, is_name, read};
use crate::modbus::plan::REGISTERS_MAX;
use crate::modbus::wire::Function;

/// Values of one profile: as many as a report may hold.
const VALUES_MAX: usize = crate::formats::VALUES_MAX;

/// Registers that may be read along: half a question. What is further apart is asked for by itself.
const GAP_MAX: u16 = 64;

const PROFILE: &[&str] = &["device", "source", "gap", "most", "value", "status", "write"];
const VALUE: &[&str] = &[
    "parameter",
    "name",
    "function",
    "register",
    "type",
    "bit",
    "order",
    "scale",
    "offset",
    "unit",
    "absent",
];
const STATUS: &[&str] = &["function", "register", "order", "fault", "calibrating", "of", "is"];
const WRITE: &[&str] =
    &["name", "register", "type", "order", "scale", "offset", "unit", "low", "high"];

impl OfText for Profile {
    fn of_text(name: &str, text: &str) -> Result<Self, ProfileError> {
        read(name, text, |table| profile(name, table))
    }
}

impl Profile {
    /// Reads the text of a profile with this name.
    ///
    /// # Errors
    /// [`ProfileError`] with the place, what is wrong, and what would be accepted.
    pub fn read(name: &str, text: &str) -> Result<Self, ProfileError> {
        Self::of_text(name, text)
    }
}

fn profile(name: &str, table: &Table) -> Result<Profile, Bad> {
    let top = At::new("profile", table, PROFILE)?;
    let profile = Profile {
        name: name.to_owned(),
        device: top.text("device")?,
        source: top.text("source")?,
        gap: top.number_or("gap", 0, GAP_MAX)?,
        most: top.number_or("most", REGISTERS_MAX, REGISTERS_MAX)?,
        values: top.each("value", VALUE, value)?,
        statuses: top.each("status", STATUS, status)?,
        writes: top.each("write", WRITE, write)?,
    };
    check(&top, &profile)?;
    Ok(profile)
}

/// What only the whole shows.
fn check(top: &At<'_>, profile: &Profile) -> Result<(), Bad> {
    if profile.most < 4 {
        return Err(top.bad("most", "a question asks for at least the 4 registers of one number"));
    }
    if profile.values.is_empty() && profile.writes.is_empty() {
        return Err(top.bad("value", "it has no [[value]]: nothing would be read"));
    }
    if VALUES_MAX < profile.values.len() {
        return Err(top.bad("value", &format!("a report holds {VALUES_MAX} values")));
    }
    for (at, value) in profile.values.iter().enumerate() {
        if profile.values[..at].iter().any(|other| other.name == value.name) {
            return Err(
                top.bad("value", &format!("`{}` comes twice; give one a `name`", value.name))
            );
        }
    }
    for status in &profile.statuses {
        if let Some(of) = status.of.iter().find(|of| profile.names().all(|name| name != *of)) {
            return Err(top.bad("status", &format!("`of` names `{of}`, which is no value")));
        }
    }
    for (at, write) in profile.writes.iter().enumerate() {
        if profile.writes[..at].iter().any(|other| other.name == write.name) {
            return Err(top.bad("write", &format!("`{}` comes twice", write.name)));
        }
    }
    Ok(())
}

fn value(at: &At<'_>) -> Result<Value, Bad> {
    let name = match at.table.contains_key("name") {
        true => at.text("name")?,
        false => at.text("parameter")?,
    };
    if !is_name(&name) || at.table.contains_key("name") == at.table.contains_key("parameter") {
        return Err(at.bad(
            "parameter",
            "write a `parameter`, or the `name` that the station's own profile maps",
        ));
    }
    let function = at.function()?;
    let kind = at.kind()?;
    let bit = at.table.contains_key("bit").then(|| at.number("bit", 15)).transpose()?;
    let of_register = kind == Kind::Bit && !function.is_bits();
    if (function.is_bits() && kind != Kind::Bit) || of_register != bit.is_some() {
        return Err(at.bad(
            "type",
            "functions 1 and 2 read a `bit`; a bit of a register says which with `bit`",
        ));
    }
    let value = Value {
        name,
        function,
        register: at.number("register", u16::MAX)?,
        kind,
        bit: bit.map(|bit| bit.to_le_bytes()[0]),
        order: at.order()?,
        scale: at.real_or("scale", 1.0)?,
        offset: at.real_or("offset", 0.0)?,
        unit: at.text_or("unit", None)?,
        absent: at.absent(kind)?,
    };
    at.ends_below_the_last(value.register, kind)?;
    Ok(value)
}

fn status(at: &At<'_>) -> Result<StatusWord, Bad> {
    let bits = |key, status| {
        Ok::<_, Bad>(
            at.numbers(key, 15)?.into_iter().map(move |bit| (bit.to_le_bytes()[0], status)),
        )
    };
    let function = at.function()?;
    let (fault, calibrating) =
        (bits("fault", Status::Fault)?, bits("calibrating", Status::Calibrating)?);
    let numbers = at.says()?;
    let word = StatusWord {
        function,
        register: at.number("register", u16::MAX)?,
        order: at.order()?,
        bits: fault.chain(calibrating).collect(),
        numbers,
        of: at.texts("of")?,
    };
    if word.bits.is_empty() && word.numbers.is_empty() {
        return Err(at.bad(
            "fault",
            "it says nothing: list the bits `fault` and `calibrating`, or what each number `is`",
        ));
    }
    if function.is_bits()
        && (word.bits.iter().any(|(bit, _)| *bit != 0) || !word.numbers.is_empty())
    {
        return Err(at.bad("function", "a coil or discrete input has one bit, 0"));
    }
    Ok(word)
}

fn write(at: &At<'_>) -> Result<Write, Bad> {
    let write = Write {
        name: at.text("name")?,
        register: at.number("register", u16::MAX)?,
        kind: at.kind()?,
        order: at.order()?,
        scale: at.real_or("scale", 1.0)?,
        offset: at.real_or("offset", 0.0)?,
        unit: at.text_or("unit", None)?,
        low: at.real("low")?,
        high: at.real("high")?,
    };
    if !is_name(&write.name) {
        return Err(at.bad("name", "use a-z, 0-9 and _"));
    }
    if write.scale == 0.0 || write.high < write.low {
        return Err(at.bad("low", "the range is from `low` to `high`, and `scale` is not 0"));
    }
    at.ends_below_the_last(write.register, write.kind)?;
    Ok(write)
}

impl At<'_> {
    fn function(&self) -> Result<Function, Bad> {
        let number = self.table.get("function").and_then(Toml::as_integer);
        number.and_then(Function::of).ok_or_else(|| {
            let all = "write 1 (coils), 2 (discrete inputs), 3 (holding) or 4 (input registers)";
            self.bad("function", all)
        })
    }

    fn kind(&self) -> Result<Kind, Bad> {
        let kind = Kind::parse(&self.text("type")?).filter(|kind| Kind::REGISTERS.contains(kind));
        kind.ok_or_else(|| {
            self.bad("type", &format!("there are {}", Kind::REGISTERS.map(Kind::as_str).join(", ")))
        })
    }

    fn order(&self) -> Result<Order, Bad> {
        Order::parse(&self.text_or("order", Some("ABCD"))?).ok_or_else(|| {
            self.bad("order", &format!("there are {}", Order::ALL.map(Order::as_str).join(", ")))
        })
    }

    fn absent(&self, kind: Kind) -> Result<Vec<Absent>, Bad> {
        let real = kind.is_real();
        let one = |found: &Toml| match found {
            Toml::String(text) if text == "nan" && real => Ok(Absent::Nan),
            Toml::Integer(whole) if !real => Ok(Absent::Whole(*whole)),
            #[expect(clippy::cast_precision_loss, reason = "a sentinel is a short number")]
            Toml::Integer(whole) => Ok(Absent::Real(*whole as f64)),
            Toml::Float(number) if real && number.is_finite() => Ok(Absent::Real(*number)),
            _ => Err(self.bad(
                "absent",
                "write numbers as the device gives them; for f32 and f64 also \"nan\"",
            )),
        };
        self.list("absent")?.iter().map(one).collect()
    }

    /// `is = { "5" = "fault" }`: what each number means.
    fn says(&self) -> Result<Vec<(u16, Status)>, Bad> {
        let wanted =
            "write numbers and what they mean, as { \"5\" = \"fault\", \"6\" = \"calibrating\" }";
        let Some(found) = self.table.get("is") else { return Ok(Vec::new()) };
        let table = found.as_table().ok_or_else(|| self.bad("is", wanted))?;
        let one = |(number, says): (&String, &Toml)| {
            let status = match says.as_str() {
                Some("fault") => Status::Fault,
                Some("calibrating") => Status::Calibrating,
                Some("measuring") => Status::Measuring,
                _ => return Err(self.bad("is", wanted)),
            };
            Ok((number.parse().map_err(|_| self.bad("is", wanted))?, status))
        };
        table.iter().map(one).collect()
    }

    fn ends_below_the_last(&self, register: u16, kind: Kind) -> Result<(), Bad> {
        match register.checked_add(kind.width() - 1) {
            Some(_) => Ok(()),
            None => Err(self.bad("register", "it would end behind register 65535")),
        }
    }
}
