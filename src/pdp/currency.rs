//! What may be answered from, and until when: where a primary is followed, no longer than it vouched for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Call, Pdp, Refused};
use crate::store::Published;
use crate::store::replica::following::Following;
use crate::store::replica::lease::LeaseEnd;
use crate::store::revision::RevisionError;

/// How long a follower waits for a revision that it has not been told of (R).
const PATIENCE: Duration = Duration::from_secs(1);

impl Pdp {
    /// The same, which answers from what a primary tells, while that vouches for it.
    #[must_use]
    pub fn following(self, following: Arc<Following>) -> Self {
        Self { following: Some(following), ..self }
    }

    /// Whether it may answer now.
    pub fn is_current(&self) -> bool {
        self.following.as_ref().is_none_or(|following| following.is_current())
    }

    /// The world to answer from, and until when. A follower waits a while for one that is no older than `minimum`, if that is a
    /// revision.
    pub(super) async fn served(&self, call: &Call, minimum: &str) -> (Arc<Published>, LeaseEnd) {
        let Some(following) = &self.following else { return (self.store.current(), LeaseEnd::EVER) };
        let wait = Instant::now() + PATIENCE;
        let end = wait.min(call.deadline);
        let mut published = self.store.subscribe();
        loop {
            // In this order: what the lease was given for is in the world.
            let until = following.until();
            let current = self.store.current();
            if until.is_over() || self.store.check_minimum(minimum, &current) != Err(RevisionError::Ahead) {
                return (current, until);
            }
            if !matches!(tokio::time::timeout_at(end.into(), published.changed()).await, Ok(Ok(()))) {
                return (current, until);
            }
        }
    }

    /// Whether a world is no older than a revision; an empty one names none.
    pub(super) fn reached(&self, minimum: &str, published: &Published) -> Result<(), Refused> {
        match self.store.check_minimum(minimum, published) {
            // What this server has not been told of may well be its primary's.
            Err(RevisionError::Ahead) if self.following.is_some() => Err(Refused::Behind),
            checked => Ok(checked?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::Surface;
    use crate::audit::{AuditLog, OpenLog, Recording};
    use crate::engine::compile::{Options, Sources, compile};
    use crate::engine::datum::{Datum, Reference};
    use crate::engine::decision::Effect;
    use crate::engine::problem::SourceFile;
    use crate::engine::request::AuthzRequest;
    use crate::identity::caller::Caller;
    use crate::identity::callers::Callers;
    use crate::pdp::{Asked, now};
    use crate::store::Store;
    use crate::store::replica::lease::Moment;
    use crate::telemetry::metrics::Metrics;

    const SCHEMA: &str = r#"namespace Mandate {
      entity User; entity Doc;
      action view appliesTo { principal: User, resource: Doc, context: { many: Set<Long> } };
    }"#;
    const ENTITIES: &str = r#"[{"uid": {"type": "Mandate::User", "id": "ana"}, "attrs": {}, "parents": []},
      {"uid": {"type": "Mandate::Doc", "id": "plan"}, "attrs": {}, "parents": []}]"#;

    fn pdp() -> Pdp {
        let file = |name: &str, text: &str| vec![SourceFile { name: name.to_owned(), bytes: text.into() }];
        let sources = Sources {
            schemas: file("small.cedarschema", SCHEMA),
            policies: file("base.cedar", "@id(\"base\") permit (principal, action, resource);"),
            entities: file("small.json", ENTITIES),
            ..Sources::default()
        };
        let world = compile(&sources, &Options::default()).unwrap().world;
        let store = Arc::new(Store::remembering(world, None));
        let callers = Arc::new(Callers::anonymous(Caller::anonymous("test")));
        let OpenLog { log, .. } = AuditLog::off();
        Pdp::new(store, log, Arc::new(Metrics::new().unwrap()), callers)
    }

    fn call() -> Call {
        Call {
            caller: Arc::new(Caller::anonymous("test")),
            surface: Surface::Grpc,
            request_id: String::new(),
            deadline: Instant::now() + Duration::from_secs(600),
            origin: None,
            trace: None,
        }
    }

    /// A question that takes a while to be understood.
    fn asked() -> Asked {
        let named = |kind: &str, id: &str| Reference::new(format!("Mandate::{kind}"), id);
        let mut question =
            AuthzRequest::new(named("User", "ana"), named("Action", "view"), named("Doc", "plan"));
        let many = Datum::List((0..3_000).map(Datum::Long).collect());
        question.context = vec![("many".to_owned(), many)];
        question.into()
    }

    #[test]
    fn an_answer_is_held_to_its_lease_before_it_is_made_and_after() {
        let (pdp, call) = (pdp(), call());
        let answer = |until| {
            let begun = Instant::now();
            let told = pdp.answer(&call, asked(), &pdp.current(), until, now());
            let told = told.map(|decided| decided.answer.decision.effect).map_err(|refusal| refusal.refused);
            (told, begun.elapsed())
        };
        let in_force = || LeaseEnd::moment(Moment::now().after(Duration::from_secs(600)));
        let shortest = (0..9).map(|_| {
            let (told, took) = answer(in_force());
            assert!(matches!(told, Ok(Effect::Allow)), "{told:?}");
            took
        });
        // Far less than a busy machine makes of it.
        let quarter = shortest.min().unwrap() / 4;
        for lease in [Duration::ZERO, quarter] {
            for _ in 0..50 {
                let (told, _) = answer(LeaseEnd::moment(Moment::now().after(lease)));
                assert!(matches!(told, Err(Refused::NotCurrent)), "{told:?} under a lease of {lease:?}");
            }
        }
    }

    #[tokio::test]
    async fn an_answer_that_waited_for_its_record_is_held_to_its_lease_once_more() {
        let (pdp, call) = (pdp(), call());
        assert!(pdp.lasting(&call, Recording::done(), LeaseEnd::EVER).await.is_ok());
        let over = LeaseEnd::moment(Moment::now());
        let refused = pdp.lasting(&call, Recording::done(), over).await;
        assert!(matches!(refused, Err(Refused::NotCurrent)), "{refused:?}");
    }
}
