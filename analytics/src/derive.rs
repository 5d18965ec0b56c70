//! What nobody measures, made of what was: each report is given what its station's declarations make of it, so that rules,
//! pages and stores take it for any other reading. The journal holds only what the station said.

use domain::derived::{Derived, Input};
use domain::{Admitted, Measured};

/// Adds what these declarations make of the report's values, in their order: one may be made of another before it. What
/// the station said itself stands; what cannot be made of this report is left out.
pub fn derive(admitted: &mut Admitted, declarations: &[Derived]) {
    let at = admitted.taken_at;
    for derived in declarations {
        let said = |code: &_| admitted.values.iter().rfind(|measured| measured.parameter == *code);
        if said(derived.parameter()).is_some() {
            continue;
        }
        let input = |code| said(code).map(|it| Input { at, value: it.value, flag: it.flag });
        let Some(inputs) = derived.inputs().iter().map(input).collect::<Option<Vec<_>>>() else {
            continue;
        };
        if let Some((value, flag)) = derived.compute(&inputs) {
            let parameter = derived.parameter().clone();
            admitted.values.push(Measured { parameter, value: Some(value), flag });
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::derived::Method;
    use domain::{Flag, ParameterCode, StationCode, Timestamp};

    use super::*;

    fn code(text: &str) -> ParameterCode {
        ParameterCode::new(text).unwrap()
    }

    fn declared(made: &str, method: &str) -> Derived {
        let method: Method = method.parse().unwrap();
        Derived::new(code(made), method, method.inputs().iter().map(|it| code(it)).collect())
            .unwrap()
    }

    fn made(
        values: &[(&str, Option<f64>, Flag)],
        declarations: &[Derived],
    ) -> Vec<(String, f64, Flag)> {
        let measured = |&(name, value, flag): &(&str, Option<f64>, Flag)| Measured {
            parameter: code(name),
            value,
            flag,
        };
        let mut report = Admitted {
            station: StationCode::new("xuan-hoa").unwrap(),
            taken_at: Timestamp::default(),
            received_at: Timestamp::default(),
            seq: None,
            replay: false,
            values: values.iter().map(measured).collect(),
        };
        derive(&mut report, declarations);
        let new = report.values[values.len()..].iter();
        new.map(|it| (it.parameter.to_string(), it.value.unwrap(), it.flag)).collect()
    }

    #[test]
    fn salinity_is_made_of_conductivity_and_temperature_with_the_worse_flag_of_them() {
        let salinity = [declared("salinity", "salinity:pss-78")];
        let of = |flag| {
            made(
                &[
                    ("conductivity", Some(10.0), flag),
                    ("water_temperature", Some(28.0), Flag::Good),
                ],
                &salinity,
            )
        };
        // DOMAIN's table of gsw 3.6.23: 10 mS/cm at 28 °C.
        let (name, value, flag) = &of(Flag::Good)[0];
        assert_eq!((name.as_str(), *flag), ("salinity", Flag::Good));
        assert!((value - 5.27902).abs() < 5e-6, "{value}");
        assert_eq!(of(Flag::Suspect)[0].2, Flag::Suspect);
        assert_eq!(of(Flag::Bad)[0].2, Flag::Bad);
    }

    #[test]
    fn what_the_station_said_itself_stands_and_what_lacks_an_input_is_not_made() {
        let salinity = [declared("salinity", "salinity:pss-78")];
        let (ec, water, own) = (
            ("conductivity", Some(10.0), Flag::Good),
            ("water_temperature", Some(28.0), Flag::Good),
            ("salinity", Some(5.0), Flag::Good),
        );
        assert_eq!(made(&[ec, water, own], &salinity), []);
        assert_eq!(made(&[ec], &salinity), []);
        assert_eq!(made(&[ec, ("water_temperature", None, Flag::Missing)], &salinity), []);
        assert_eq!(made(&[("conductivity", Some(f64::NAN), Flag::Bad), water], &salinity), []);
    }

    #[test]
    fn one_may_be_made_of_another_before_it() {
        let two = [
            declared("conductivity_25", "conductivity-25"),
            declared("salinity", "salinity-25:pss-78"),
        ];
        let found = made(
            &[
                ("conductivity", Some(10.0), Flag::Good),
                ("water_temperature", Some(28.0), Flag::Good),
            ],
            &two,
        );
        assert_eq!(found.len(), 2);
        assert!((found[1].1 - 5.27902).abs() < 5e-6, "{found:?}");
    }
}
