//! The kept intervals of one series in one file, column by column ([`pack`](super::pack)):
//! ```text
//! varint N · byte kind (0 number, 1 direction) · zigzag varint of the newest time of arrival
//! of all N:      first time · last time − first time · flag · count
//! of those that count something, all times from the interval's first:
//!                first · last · longest gap · byte form · value of the first · of the last
//!   a number:    time of the least · of the greatest · value of the least · of the greatest · sum in millionths ·
//!                byte 1 where something is no millionths, then the bits of two floats that hold the sum of those
//!   a direction: sum to the east · to the north, in units of `domain::Directions`
//! ```
//! Form 0: values are millionths; form 1: the bits of floats. What fits none of this is not kept.

use domain::{Directions, Flag};

use super::pack::{put, put_varint, take, take_byte, take_varint, unzigzag, zigzag};
use super::state::{Amount, Counted, State};
use super::sum::{Exact, Sum, millionths, of_millionths};

/// Intervals of ten minutes in a month, and one more.
const STATES_MAX: u64 = 31 * 24 * 6 + 1;

/// What a file keeps of one series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    /// Sums of vectors, or of numbers?
    pub(crate) direction: bool,
    /// The newest time of arrival of all rows that it is made of.
    pub(crate) received: i64,
    /// In the order of time, of different intervals.
    pub(crate) states: Vec<State>,
}

impl Block {
    /// The bytes; `None` where it cannot be kept to the bit.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let all = &self.states;
        let counted: Vec<(&State, &Counted)> =
            all.iter().filter_map(|state| Some((state, state.counted.as_ref()?))).collect();
        let mut out = Vec::new();
        put_varint(&mut out, all.len() as u64);
        out.push(u8::from(self.direction));
        put_varint(&mut out, zigzag(self.received));
        put(&mut out, &each(all, |state| state.span.0));
        put(&mut out, &each(all, |state| state.span.1.wrapping_sub(state.span.0)));
        put(&mut out, &each(all, |state| i64::from(state.flag.number())));
        put(&mut out, &each(all, |state| i64::from(state.count)));
        put(&mut out, &each(&counted, |(state, c)| c.first.1.wrapping_sub(state.span.0)));
        put(&mut out, &each(&counted, |(state, c)| c.last.1.wrapping_sub(state.span.0)));
        put(&mut out, &each(&counted, |(_, c)| c.gap));
        if self.direction {
            vectors(&mut out, &counted)?;
        } else {
            numbers(&mut out, &counted)?;
        }
        Some(out)
    }

    /// What the bytes say; `None` where they are no block.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let count = usize::try_from(take_varint(from).filter(|&n| n <= STATES_MAX)?).ok()?;
        let direction = match take_byte(from)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let received = unzigzag(take_varint(from)?);
        let (firsts, lengths) = (take(from, count)?, take(from, count)?);
        let (flags, counts) = (take(from, count)?, take(from, count)?);
        let of = counts.iter().filter(|&&count| 0 < count).count();
        let (first, last, gap) = (take(from, of)?, take(from, of)?, take(from, of)?);
        let form = take_byte(from)?;
        let (at_first, at_last) = (values(from, form, of)?, values(from, form, of)?);
        let amounts =
            if direction { Amounts::vectors(from, of)? } else { Amounts::numbers(from, form, of)? };
        if !from.is_empty() {
            return None;
        }
        let mut states = Vec::with_capacity(count);
        let mut at = 0;
        for row in 0..count {
            let start = firsts[row];
            let flag = Flag::from_number(u8::try_from(flags[row]).ok()?)?;
            let span = (start, start.wrapping_add(lengths[row]));
            let count = u32::try_from(counts[row]).ok()?;
            let counted = if count == 0 {
                None
            } else {
                let amount = amounts.get(at, start);
                let first = (at_first[at], start.wrapping_add(first[at]));
                let last = (at_last[at], start.wrapping_add(last[at]));
                let gap = gap[at];
                at += 1;
                Some(Counted { first, last, gap, amount })
            };
            states.push(State { span, flag, count, counted });
        }
        Some(Self { direction, received, states })
    }
}

fn each<T>(all: &[T], of: impl Fn(&T) -> i64) -> Vec<i64> {
    all.iter().map(of).collect()
}

type Of<'a> = [(&'a State, &'a Counted)];

fn numbers(out: &mut Vec<u8>, counted: &Of<'_>) -> Option<()> {
    let mut of = Vec::with_capacity(counted.len());
    for (state, c) in counted {
        let Amount::Number { min, max, sum } = &c.amount else { return None };
        of.push((state.span.0, *min, *max, i64::try_from(sum.micro).ok()?, &sum.rest));
        sum.is_tame().then_some(())?;
    }
    let all = counted.iter().flat_map(|(_, c)| [c.first.0, c.last.0]);
    let all = all.chain(of.iter().flat_map(|&(_, min, max, ..)| [min.0, max.0]));
    let form = form(all);
    out.push(form);
    put_values(out, form, counted.iter().map(|(_, c)| c.first.0))?;
    put_values(out, form, counted.iter().map(|(_, c)| c.last.0))?;
    put(out, &each(&of, |&(start, min, ..)| min.1.wrapping_sub(start)));
    put(out, &each(&of, |&(start, _, max, ..)| max.1.wrapping_sub(start)));
    put_values(out, form, of.iter().map(|&(_, min, ..)| min.0))?;
    put_values(out, form, of.iter().map(|&(_, _, max, ..)| max.0))?;
    put(out, &each(&of, |&(_, _, _, micro, _)| micro));
    let whole = of.iter().all(|(.., rest)| rest.is_nothing());
    out.push(u8::from(!whole));
    if !whole {
        let pairs: Vec<(f64, f64)> =
            of.iter().map(|(.., rest)| rest.pair()).collect::<Option<_>>()?;
        put_values(out, BITS, pairs.iter().map(|pair| pair.0))?;
        put_values(out, BITS, pairs.iter().map(|pair| pair.1))?;
    }
    Some(())
}

fn vectors(out: &mut Vec<u8>, counted: &Of<'_>) -> Option<()> {
    let mut sums = Vec::with_capacity(counted.len());
    for (_, c) in counted {
        let Amount::Vectors(directions) = &c.amount else { return None };
        let (east, north) = directions.sums();
        sums.push((i64::try_from(east).ok()?, i64::try_from(north).ok()?));
    }
    let form = form(counted.iter().flat_map(|(_, c)| [c.first.0, c.last.0]));
    out.push(form);
    put_values(out, form, counted.iter().map(|(_, c)| c.first.0))?;
    put_values(out, form, counted.iter().map(|(_, c)| c.last.0))?;
    put(out, &each(&sums, |sums| sums.0));
    put(out, &each(&sums, |sums| sums.1));
    Some(())
}

const MILLIONTHS: u8 = 0;
const BITS: u8 = 1;

fn form(mut values: impl Iterator<Item = f64>) -> u8 {
    if values.all(|value| millionths(value).is_some()) { MILLIONTHS } else { BITS }
}

fn put_values(out: &mut Vec<u8>, form: u8, values: impl Iterator<Item = f64>) -> Option<()> {
    let number = |value: f64| match form {
        MILLIONTHS => millionths(value),
        _ => Some(value.to_bits().cast_signed()),
    };
    put(out, &values.map(number).collect::<Option<Vec<i64>>>()?);
    Some(())
}

fn values(from: &mut &[u8], form: u8, count: usize) -> Option<Vec<f64>> {
    let value = |number: i64| match form {
        MILLIONTHS => Some(of_millionths(number)),
        BITS => Some(f64::from_bits(number.cast_unsigned())),
        _ => None,
    };
    take(from, count)?.into_iter().map(value).collect()
}

/// The sums of all, in columns.
enum Amounts {
    Numbers {
        times: [Vec<i64>; 2],
        values: [Vec<f64>; 2],
        micro: Vec<i64>,
        rest: Option<[Vec<f64>; 2]>,
    },
    Vectors(Vec<i64>, Vec<i64>),
}

impl Amounts {
    fn numbers(from: &mut &[u8], form: u8, count: usize) -> Option<Self> {
        let times = [take(from, count)?, take(from, count)?];
        let values_of = [values(from, form, count)?, values(from, form, count)?];
        let micro = take(from, count)?;
        let rest = match take_byte(from)? {
            0 => None,
            1 => Some([values(from, BITS, count)?, values(from, BITS, count)?]),
            _ => return None,
        };
        Some(Self::Numbers { times, values: values_of, micro, rest })
    }

    fn vectors(from: &mut &[u8], count: usize) -> Option<Self> {
        Some(Self::Vectors(take(from, count)?, take(from, count)?))
    }

    fn get(&self, at: usize, start: i64) -> Amount {
        match self {
            Self::Numbers { times, values, micro, rest } => {
                let stood = |of: usize| (values[of][at], start.wrapping_add(times[of][at]));
                let rest = rest.as_ref().map(|[high, low]| Exact::of_pair((high[at], low[at])));
                let sum = Sum::of(i128::from(micro[at]), rest.unwrap_or_default());
                Amount::Number { min: stood(0), max: stood(1), sum }
            }
            Self::Vectors(east, north) => {
                let sums = (i128::from(east[at]), i128::from(north[at]));
                Amount::Vectors(Directions::of_sums(sums))
            }
        }
    }
}
