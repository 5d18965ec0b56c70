//! What holds of every water.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn salinity_to_conductivity_and_back(
        salinity in 0.0005_f64..42.0, water_c in -2.0_f64..40.0, pressure in 0.0_f64..10_000.0,
    ) {
        let ec = conductivity(salinity, water_c, pressure).unwrap();
        // Over 100 mS/cm there is no reading to come back from.
        prop_assume!(ec <= 100.0);
        let back = practical_salinity(ec, water_c, pressure).unwrap_or(42.0);
        prop_assert!((back / salinity - 1.0).abs() < 1e-11, "{salinity} came back as {back}");
    }

    #[test]
    fn more_conductivity_is_more_salt(
        ec in 0.02_f64..60.0, more in 1e-6_f64..5.0, water_c in 0.0_f64..40.0,
    ) {
        let salinity = |ec| practical_salinity(ec, water_c, 0.0);
        if let (Some(less), Some(more)) = (salinity(ec), salinity(ec + more)) {
            prop_assert!(less < more);
        }
    }

    #[test]
    fn warmer_water_with_the_same_conductivity_is_fresher(
        ec in 0.1_f64..40.0, water_c in 0.0_f64..38.0,
    ) {
        let salinity = |water_c| practical_salinity(ec, water_c, 0.0);
        if let (Some(cold), Some(warm)) = (salinity(water_c), salinity(water_c + 1.0)) {
            prop_assert!(warm < cold);
        }
    }

    #[test]
    fn hill_and_pss_78_meet_at_two(water_c in -2.0_f64..40.0, pressure in 0.0_f64..1_000.0) {
        let at_two = conductivity(2.0, water_c, pressure).unwrap();
        let around = [at_two * (1.0 - 1e-12), at_two * (1.0 + 1e-12)];
        for ec in around {
            let salinity = practical_salinity(ec, water_c, pressure).unwrap();
            prop_assert!((salinity - 2.0).abs() < 1e-11, "{salinity}");
        }
    }

    #[test]
    fn salt_makes_water_heavy_and_drives_oxygen_out(
        salinity in 0.0_f64..41.0, water_c in 0.0_f64..40.0,
    ) {
        let of = |salinity| (density(salinity, water_c, 0.0), oxygen_solubility(salinity, water_c, 0.0));
        let ((light, much), (heavy, little)) = (of(salinity), of(salinity + 0.5));
        prop_assert!(light.unwrap() < heavy.unwrap());
        prop_assert!(little.unwrap() < much.unwrap());
    }

    #[test]
    fn no_number_makes_a_formula_panic_or_give_nonsense(
        a in any::<f64>(), b in any::<f64>(), c in any::<f64>(),
    ) {
        for value in [
            practical_salinity(a, b, c), conductivity(a, b, c), density(a, b, c),
            mass_concentration(a, b, c), conductivity_25(a, b), conductivity_from_25(a, b),
            oxygen_saturation(a, b, c), oxygen_solubility(a, b, c), chloride(a),
            salinity_from_chloride(a), reference_salinity(a), conservative_temperature(a, b, c),
        ].into_iter().flatten() {
            prop_assert!(value.is_finite());
        }
    }
}
