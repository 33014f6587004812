//! The law of swift evaluation: a program comes to what Cedar's evaluator says, or to nothing; and to nothing seldom.

mod generated;

use std::cell::RefCell;
use std::sync::Arc;

use cedar_policy::{Context, Entities, EntityUid};
use cedar_policy_core::ast::{self, EntityUIDEntry, Expr, Literal, SlotEnv, ValueKind};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use proptest::prelude::*;

use super::entities::{BuiltEntity, parts};
use super::members::Members;
use super::program::Program;
use super::sight::{Look, Sight};
use super::swift::Scene;
use super::value::CedarRecord;
use crate::engine::soak_for_tests;

/// Stored entities, one request, and what Cedar's evaluator needs to decide the same.
struct Stage {
    cedars: Entities,
    built: Vec<BuiltEntity>,
    absent: Vec<EntityUid>,
    parties: [EntityUid; 3],
    context: CedarRecord,
}

impl Stage {
    fn new(parties: [&str; 3], context: serde_json::Value) -> Self {
        let cedars = Entities::from_json_value(generated::entities(), None).unwrap();
        let built = cedars.iter().map(|entity| {
            let (parents, attributes, tags) = parts(entity).unwrap();
            let members = Members::new(parents, attributes.into_members(), tags.into_members());
            let above: Vec<_> = cedars.ancestors(&entity.uid()).unwrap().cloned().collect();
            BuiltEntity::new(&entity.uid(), Arc::new(members), &above)
        });
        let context = Context::from_json_value(context, None).unwrap();
        Self {
            built: built.collect(),
            cedars,
            absent: generated::ABSENT.map(|uid| uid.parse().unwrap()).into(),
            parties: parties.map(|uid| uid.parse().unwrap()),
            context: CedarRecord::of_context(&context).unwrap(),
        }
    }

    /// What Cedar's evaluator says: true, false, or that it is an error or no truth value.
    fn cedars(&self, expression: &Expr) -> Option<bool> {
        let known =
            |uid: &EntityUid| EntityUIDEntry::known(AsRef::<ast::EntityUID>::as_ref(uid).clone(), None);
        let [principal, action, resource] = self.parties.each_ref().map(known);
        let context = ast::Context::Value(Arc::clone(&self.context.0));
        let request = ast::Request::new_unchecked(principal, action, resource, Some(context));
        let evaluator = Evaluator::new(request, self.cedars.as_ref(), Extensions::all_available());
        match evaluator.interpret(expression, &SlotEnv::new()).ok()?.value_kind() {
            ValueKind::Lit(Literal::Bool(holds)) => Some(*holds),
            _ => None,
        }
    }

    /// What a program says, if everything was looked at, and if nothing was.
    fn swift(&self, program: &Program) -> [Option<bool>; 2] {
        let mut all = Sight::default();
        self.built.iter().for_each(|entity| all.put(entity.uid(), Some(Look::at(entity))));
        self.absent.iter().for_each(|uid| all.put(uid, None));
        let [principal, action, resource] = &self.parties;
        [&all, &Sight::default()]
            .map(|sight| Scene { principal, action, resource, context: &self.context, sight }.holds(program))
    }
}

/// How often a run was certain, so that it cannot hold for want of anything to say.
#[derive(Debug, Default)]
struct Seen {
    /// Expressions that come to a truth value, and those that do not.
    truths: usize,
    failures: usize,
    /// Of the first, how many a program was certain of, with everything looked at and with nothing.
    certain: [usize; 2],
    held: usize,
}

impl Seen {
    fn compare(&mut self, stage: &Stage, text: &str) -> Result<(), TestCaseError> {
        let expression: Expr =
            text.parse().map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let cedars = stage.cedars(&expression);
        let program = Program::of(&expression, &SlotEnv::new());
        let swift = program.map_or([None, None], |program| stage.swift(&program));
        for (certain, swift) in self.certain.iter_mut().zip(swift) {
            if swift.is_some() {
                prop_assert_eq!(swift, cedars, "{}", text);
                *certain += 1;
            }
        }
        match cedars {
            Some(holds) => {
                self.truths += 1;
                self.held += usize::from(holds);
            }
            None => self.failures += 1,
        }
        Ok(())
    }
}

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::default();
}

const CASES: u32 = if cfg!(debug_assertions) { 3_000 } else { 100_000 };

#[test]
fn programs_come_to_what_cedars_evaluator_says_or_to_nothing() {
    let stages: Vec<_> =
        generated::requests().into_iter().map(|(parties, context)| Stage::new(parties, context)).collect();
    let run = soak_for_tests::runner(CASES).run(&generated::condition(), |text| {
        SEEN.with_borrow_mut(|seen| stages.iter().try_for_each(|stage| seen.compare(stage, &text)))
    });
    run.unwrap();
    SEEN.with_borrow(|seen| {
        println!("{seen:?}");
        let Seen { truths, failures, certain: [all, none], held } = *seen;
        assert!(failures * 100 > (truths + failures) * 15, "only {failures} fail of {truths} that do not");
        assert!((truths / 5..truths / 5 * 4).contains(&held), "{held} of {truths} are true");
        assert_eq!(all, truths, "some that come to a truth value are certain only to Cedar");
        assert!((truths / 20..truths / 5 * 4).contains(&none), "{none} of {truths} need no entity");
    });
}
