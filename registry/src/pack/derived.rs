//! `[[station.derived]]`: a parameter that the station does not measure, and by which method it is made of what it does.

use domain::ParameterCode;
use domain::derived::{Derived, Method};

use super::PackError;
use super::section::Section;

const KEYS: [&str; 4] = ["parameter", "method", "inputs", "within"];

/// The declarations in this section.
pub(super) fn all(section: &Section<'_>) -> Result<Vec<Derived>, PackError> {
    section.each("derived", "parameter", &KEYS)?.iter().map(declaration).collect()
}

fn declaration(section: &Section<'_>) -> Result<Derived, PackError> {
    let parameter: ParameterCode = section.code("parameter", "what is made, as \"salinity\"")?;
    let text = section.text("method", "how, as \"salinity:pss-78\"")?;
    let method: Method = text.parse().map_err(|why: domain::derived::BadDerivation| {
        section.wrong("method", &text.into(), why.to_string())
    })?;
    let named = section.codes("inputs", "parameters in the method's order")?;
    let inputs = if named.is_empty() { usual(method) } else { named };
    let derived = Derived::new(parameter, method, inputs);
    let derived = derived.map_err(|why| section.wrong("inputs", &text.into(), why.to_string()))?;
    match section.text_maybe("within")? {
        None => Ok(derived),
        Some(within) => {
            let span = section.duration("within")?;
            derived
                .within(span)
                .map_err(|why| section.wrong("within", &within.into(), why.to_string()))
        }
    }
}

/// What a method is made of where nobody says otherwise.
fn usual(method: Method) -> Vec<ParameterCode> {
    method.inputs().iter().filter_map(|code| ParameterCode::new(code).ok()).collect()
}
