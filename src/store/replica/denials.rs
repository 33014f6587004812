//! What denies does not wait: revocations and suspensions are in force as soon as they are heard of, though the step that brings
//! them waits for a generation that is being compiled. Only what denies more may be served ahead of its world.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::{Published, Store};
use super::Step;
use crate::engine::suspensions::{Suspended, Suspensions};
use crate::engine::world::World;

/// Suspensions of steps that are not taken yet, by the steps' numbers.
#[derive(Debug, Default)]
pub(super) struct Denials {
    numbered: u64,
    waiting: VecDeque<(u64, Suspending)>,
}

/// Who is suspended, and why.
type Suspending = Vec<(Suspended, Arc<str>)>;

/// Puts in force what a step denies, and numbers it.
pub(super) fn deny(denials: &Mutex<Denials>, store: &Store, step: &Step) -> u64 {
    // Held while it is published, so that no step before it takes it back.
    let mut denials = denials.lock().unwrap_or_else(PoisonError::into_inner);
    denials.numbered += 1;
    let number = denials.numbered;
    if step.revoked.is_empty() && step.suspended.is_empty() {
        return number;
    }
    denials.waiting.push_back((number, step.suspended.clone()));
    let denies = |world: &World| {
        let mut world = world.clone();
        step.revoked.iter().for_each(|grant| world.revocations.revoke(grant.clone()));
        suspend(&mut world.suspensions, &step.suspended);
        world
    };
    drop(store.follow(None, denies));
    number
}

/// Publishes what a step leads to, by `publish`, which is given what later steps suspend.
pub(super) fn publish(
    denials: &Mutex<Denials>,
    number: u64,
    publish: impl FnOnce(&dyn Fn(&mut Suspensions)) -> Arc<Published>,
) -> Arc<Published> {
    let mut denials = denials.lock().unwrap_or_else(PoisonError::into_inner);
    while denials.waiting.front().is_some_and(|(waiting, _)| *waiting <= number) {
        denials.waiting.pop_front();
    }
    let later = |suspensions: &mut Suspensions| {
        denials.waiting.iter().for_each(|(_, suspended)| suspend(suspensions, suspended));
    };
    publish(&later)
}

fn suspend(suspensions: &mut Suspensions, suspended: &[(Suspended, Arc<str>)]) {
    for (suspended, reason) in suspended {
        suspensions.suspend(suspended.clone(), Arc::clone(reason));
    }
}
