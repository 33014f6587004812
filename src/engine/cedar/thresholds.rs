//! When a policy's outcome may next change with the time alone (K7).
//!
//! Every step of a term but one keeps or turns around the order of instants, so that where its outcome passes a bound, its
//! input passes another, and in the end `now` does. The one is `toTime()`, which passes every bound each day anew: there
//! the crossings before and after the instant are meant.

use std::ops::RangeInclusive;

use super::evaluate::{Evaluation, PolicyFailure, PolicyFailureKind};
use super::policy::CompiledPolicy;
use super::swift::Scene;
use super::time_uses::{Compared, Evaluated, Operand, Step, TimeUse, TimeUses, Uses};
use crate::engine::authorize::Now;
use crate::engine::validity::Validity;

/// Milliseconds of a day.
const DAY: i128 = 24 * 60 * 60 * 1000;

/// What the time can be: years 0000 to 9999, as conversion accepts it.
const INSTANTS: RangeInclusive<Now> = Now(-62_167_219_200_000)..=Now(253_402_300_799_999);

/// Why a comparison's next change is not told.
enum Untold {
    /// There is none: what it is compared with fails, or is of another kind, at any time.
    Constant,
    /// It hangs on more than the time.
    Unforeseen,
}

/// A step whose operand has been evaluated.
#[derive(Debug, Clone, Copy)]
enum Moved {
    Offset(i64),
    Since(i64),
    Before(i64),
    Date,
    Time,
    Count(i64),
}

impl TimeUses {
    /// The instants around `now`, at which the scene is, over which a policy that uses the time so comes out as it does there.
    /// Cedar's own evaluator is asked, with the policy, for what is not certain without it.
    pub(in crate::engine) fn validity<'e>(
        &self,
        scene: &Scene<'_>,
        cedars: impl Fn() -> Option<(Evaluation<'e>, &'e CompiledPolicy)>,
        now: Now,
    ) -> Validity {
        let uses = match &self.0 {
            Uses::None => return Validity::ALWAYS,
            Uses::Unforeseen => return Validity::unforeseen(now),
            Uses::Compared(uses) => uses,
        };
        let number = |operand: &Operand| match operand {
            Operand::Constant(number) => Ok(*number),
            Operand::Evaluated(evaluated) => {
                match evaluated.program.as_ref().and_then(|it| scene.value(it)) {
                    Some(value) => evaluated.kind.number(&value).ok_or(Untold::Constant),
                    None => {
                        let (evaluation, policy) = cedars().ok_or(Untold::Unforeseen)?;
                        evaluation.number(policy, evaluated)
                    }
                }
            }
        };
        uses.iter().fold(Validity::ALWAYS, |validity, one| {
            validity.and(match one.validity(number, now) {
                Ok(validity) => validity,
                Err(Untold::Constant) => Validity::ALWAYS,
                Err(Untold::Unforeseen) => Validity::unforeseen(now),
            })
        })
    }
}

impl Evaluation<'_> {
    fn number(&self, policy: &CompiledPolicy, evaluated: &Evaluated) -> Result<i64, Untold> {
        let Evaluated { expression, kind, .. } = evaluated;
        match self.evaluator.interpret(expression, &policy.slots).map_err(PolicyFailure::from) {
            Ok(value) => kind.number(&value).ok_or(Untold::Constant),
            Err(failure) if failure.kind == PolicyFailureKind::Data => Err(Untold::Constant),
            Err(_) => Err(Untold::Unforeseen),
        }
    }
}

impl TimeUse {
    fn validity(
        &self,
        number: impl Fn(&Operand) -> Result<i64, Untold>,
        now: Now,
    ) -> Result<Validity, Untold> {
        let with = i128::from(number(&self.with)?);
        let steps = self.term.steps.iter().map(|step| {
            Ok(match step {
                Step::Offset(by) => Moved::Offset(number(by)?),
                Step::Since(earlier) => Moved::Since(number(earlier)?),
                Step::Before(later) => Moved::Before(number(later)?),
                Step::Date => Moved::Date,
                Step::Time => Moved::Time,
                Step::Count(unit) => Moved::Count(*unit),
            })
        });
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        let path = Path::of(&steps, now).ok_or(Untold::Unforeseen)?;
        let crossing = |bound| path.between_crossings(steps.len(), bound);
        let compared = match self.compared {
            Compared::Reaches => crossing(with),
            Compared::Passes => crossing(with + 1),
            Compared::Equals => crossing(with).and(crossing(with + 1)),
        };
        Ok(compared.and(path.within_range()))
    }
}

/// A term at one instant: its steps, and what goes into each.
struct Path<'s> {
    steps: &'s [Moved],
    inputs: Vec<i64>,
    now: Now,
}

impl<'s> Path<'s> {
    /// None if a step leaves the range of its kind: it fails now, and may not later.
    fn of(steps: &'s [Moved], now: Now) -> Option<Self> {
        let mut inputs = Vec::with_capacity(steps.len());
        let mut value = now.0;
        for step in steps {
            inputs.push(value);
            value = match step {
                Moved::Offset(by) => value.checked_add(*by)?,
                Moved::Since(earlier) => value.checked_sub(*earlier)?,
                Moved::Before(later) => later.checked_sub(value)?,
                Moved::Date => i64::try_from(i128::from(value).div_euclid(DAY) * DAY).ok()?,
                Moved::Time => i64::try_from(i128::from(value).rem_euclid(DAY)).ok()?,
                Moved::Count(unit) => value.checked_div(*unit)?,
            };
        }
        Some(Self { steps, inputs, now })
    }

    /// The instants around `now` over which what comes out of the first `count` steps stays on the side of `bound` on which
    /// it is: below, or at and above.
    fn between_crossings(&self, count: usize, bound: i128) -> Validity {
        let last = count.checked_sub(1);
        let Some((last, step)) = last.and_then(|last| Some((last, self.steps.get(last)?))) else {
            return self.between_instants(bound);
        };
        match step {
            Moved::Offset(by) => self.between_crossings(last, bound - i128::from(*by)),
            Moved::Since(earlier) => self.between_crossings(last, bound + i128::from(*earlier)),
            // What is still to come is below the bound where the input is past another.
            Moved::Before(later) => self.between_crossings(last, i128::from(*later) - bound + 1),
            // A date is below a bound where the instant is below the first midnight that is not.
            Moved::Date => self.between_crossings(last, -(-bound).div_euclid(DAY) * DAY),
            // Cedar rounds towards zero.
            Moved::Count(unit) if bound > 0 => self.between_crossings(last, bound * i128::from(*unit)),
            Moved::Count(unit) => self.between_crossings(last, (bound - 1) * i128::from(*unit) + 1),
            // A time of day is on one side of these always.
            Moved::Time if !(1..DAY).contains(&bound) => Validity::ALWAYS,
            Moved::Time => {
                let input = self.inputs.get(last).copied().map_or(0, i128::from);
                let midnight = input.div_euclid(DAY) * DAY;
                let (before, after) = if input < midnight + bound {
                    (midnight, midnight + bound)
                } else {
                    (midnight + bound, midnight + DAY)
                };
                self.between_crossings(last, before).and(self.between_crossings(last, after))
            }
        }
    }

    fn between_instants(&self, bound: i128) -> Validity {
        match i64::try_from(bound).map(Now) {
            Ok(instant) if INSTANTS.contains(&instant) && self.now < instant => Validity::until(instant),
            Ok(instant) if INSTANTS.contains(&instant) => Validity::from(instant),
            // It is never then.
            _ => Validity::ALWAYS,
        }
    }

    /// The instants over which no step leaves the range of its kind, which would make it fail.
    fn within_range(&self) -> Validity {
        let leaves = |step: &Moved| matches!(step, Moved::Offset(_) | Moved::Since(_) | Moved::Before(_));
        let steps = (1..).zip(self.steps).filter(|(_, step)| leaves(step));
        steps.fold(Validity::ALWAYS, |validity, (count, _)| {
            let least = self.between_crossings(count, i128::from(i64::MIN));
            validity.and(least).and(self.between_crossings(count, i128::from(i64::MAX) + 1))
        })
    }
}
