//! The flag of a number that was made of other numbers.

use crate::Flag;

impl Flag {
    /// The flag of what is computed of inputs with these flags: missing where one is missing, else bad, suspect or not
    /// evaluated where one is; good only where all are. Missing of no inputs.
    ///
    /// This is not [`Flag::worse`], which rolls up tests of one number and where a test that could not run takes nothing
    /// from one that passed. A salinity from a good conductivity and a temperature that nobody looked at is not good.
    #[must_use]
    pub fn composed(inputs: impl IntoIterator<Item = Self>) -> Self {
        let worst = inputs.into_iter().max_by_key(|flag| doubt(*flag));
        worst.unwrap_or(Self::Missing)
    }
}

const fn doubt(flag: Flag) -> u8 {
    match flag {
        Flag::Good => 0,
        Flag::NotEvaluated => 1,
        Flag::Suspect => 2,
        Flag::Bad => 3,
        Flag::Missing => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Flag::{Bad, Good, Missing, NotEvaluated, Suspect};

    #[test]
    fn what_is_made_of_doubtful_numbers_is_doubtful() {
        for (inputs, wanted) in [
            (vec![Good, Good], Good),
            (vec![Good, NotEvaluated], NotEvaluated),
            (vec![Suspect, NotEvaluated], Suspect),
            (vec![Bad, Suspect], Bad),
            (vec![Bad, Missing], Missing),
            (vec![], Missing),
        ] {
            assert_eq!(Flag::composed(inputs.clone()), wanted, "{inputs:?}");
        }
    }
}
