//! The law of validity: at every instant over which a decision is said to hold, the same question has the same answer.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::authorize::{Now, authorize};
use super::compile::{Options, Sources, compile};
use super::convert::Form;
use super::datum::{Datum, Reference};
use super::decision::Decision;
use super::generation::OnPolicyError;
use super::problem::SourceFile;
use super::request::AuthzRequest;
use super::soak_for_tests;
use super::world::World;

const SCHEMA: &str = r#"namespace Mandate {
  entity User = { expires: datetime, grace: duration, level: Long, ends?: datetime };
  entity Doc = { born: datetime, kept: duration };
  action view appliesTo { principal: [User], resource: [Doc],
    context: { now: datetime, at: datetime, span: duration, count: Long } };
}
"#;

const DAY: i64 = 86_400_000;
/// 2026-11-22T00:00:00Z
const MIDNIGHT: i64 = 1_795_305_600_000;

/// None for policies that are refused: some that are generated can never apply.
fn world(policies: &str, on_policy_error: OnPolicyError) -> Option<World> {
    let file = |name: &str, text: String| vec![SourceFile { name: name.to_owned(), bytes: text.into() }];
    let entities = json!([
        {"uid": {"type": "Mandate::User", "id": "ana"}, "parents": [],
         "attrs": {"expires": "2026-11-22T10:00:00Z", "grace": "2h", "level": 3}},
        {"uid": {"type": "Mandate::Doc", "id": "plan"}, "parents": [],
         "attrs": {"born": "2026-11-20T22:30:00Z", "kept": "36h"}},
    ]);
    let sources = Sources {
        policies: file("p.cedar", policies.to_owned()),
        schemas: file("s.cedarschema", SCHEMA.to_owned()),
        entities: file("e.json", entities.to_string()),
        ..Sources::default()
    };
    let options = Options { on_policy_error, ..Options::default() };
    match compile(&sources, &options) {
        Ok(loaded) => Some(loaded.world),
        Err(report) if report.errors().all(|error| error.message.contains("impossible")) => None,
        Err(report) => panic!("{policies}\n{report}"),
    }
}

fn question() -> AuthzRequest {
    let named = |kind: &str, id: &str| Reference::new(format!("Mandate::{kind}"), id);
    let mut question = AuthzRequest::new(named("User", "ana"), named("Action", "view"), named("Doc", "plan"));
    question.context_form = Form::Plain;
    let members = [
        ("at", Datum::String("2026-11-22T12:00:00Z".to_owned())),
        ("span", Datum::String("1h30m".to_owned())),
        ("count", Datum::Long(2)),
    ];
    question.context = members.map(|(name, value)| (name.to_owned(), value)).to_vec();
    question
}

fn decide(world: &World, now: i64) -> Decision {
    authorize(world, &question(), Now(now)).unwrap()
}

/// Everything of a decision that hangs on the policies.
fn outcome(decision: &Decision) -> (bool, BTreeSet<String>, BTreeSet<String>) {
    let ids = |ids: Vec<&smol_str::SmolStr>| ids.into_iter().map(ToString::to_string).collect();
    (
        decision.denial.is_none(),
        ids(decision.determining.iter().map(|policy| &policy.id).collect()),
        ids(decision.errors.iter().map(|error| &error.policy.id).collect()),
    )
}

fn permit(condition: &str) -> World {
    let text = format!("@id(\"p\") permit(principal, action, resource) when {{ {condition} }};");
    world(&text, OnPolicyError::Deny).unwrap()
}

/// How long the decision of one condition holds around an instant, both ways.
fn span(condition: &str, now: i64) -> (i64, i64) {
    let decision = decide(&permit(condition), now);
    let holds = |offset: i64| now.checked_add(offset).is_some_and(|at| decision.validity.contains(Now(at)));
    let end = decision.validity.ends_after(Now(now)).map_or(i64::MAX, |Now(until)| until - now);
    // The beginning, by halving: what holds is one span.
    let (mut within, mut before) = (0, -(1_i64 << 60));
    while holds(0) && before < within - 1 {
        let middle = before + (within - before) / 2;
        if holds(middle) { within = middle } else { before = middle }
    }
    (if holds(-(1 << 60)) { i64::MIN } else { within }, if holds(0) { end } else { 0 })
}

#[test]
fn a_comparison_holds_up_to_the_instant_at_which_it_changes() {
    let (hour, ever) = (3_600_000, i64::MAX);
    // 09:00; ana expires at 10:00, the request names 12:00 and 1 h 30.
    let now = MIDNIGHT + 9 * hour;
    for (condition, end) in [
        ("context.now < principal.expires", hour),
        ("context.now <= principal.expires", hour + 1),
        ("principal.expires > context.now", hour),
        ("principal.expires >= context.now", hour + 1),
        ("context.now > principal.expires", hour + 1),
        ("context.now >= principal.expires", hour),
        ("!(context.now >= principal.expires)", hour),
        ("context.now == principal.expires", hour),
        ("context.now != principal.expires", hour),
        ("context.now >= datetime(\"2026-11-22T09:00:00Z\")", ever),
        ("context.now <= datetime(\"2026-11-22T09:00:00Z\")", 1),
        ("context.now == datetime(\"2026-11-22T09:00:00Z\")", 1),
        ("context.now < context.at.offset(context.span)", 4 * hour + hour / 2),
        ("context.now.offset(principal.grace) < context.at", hour),
        ("context.now.offset(duration(\"-1h\")) < principal.expires", 2 * hour),
        ("context.now.durationSince(resource.born) <= resource.kept", hour + hour / 2 + 1),
        ("context.at.durationSince(context.now) > context.span", hour + hour / 2),
        ("context.at.durationSince(context.now) >= context.span", hour + hour / 2 + 1),
        ("context.at.durationSince(context.now).toHours() >= context.count", hour + 1),
        ("context.at.durationSince(context.now).toHours() > -1", 4 * hour),
        ("context.now.durationSince(context.at).toMinutes() < -90", hour + hour / 2 + 1 - 60_000),
        ("context.now.durationSince(resource.born).toDays() < context.count", 13 * hour + hour / 2),
        ("context.now.toTime() < duration(\"17h\")", 8 * hour),
        ("context.now.toTime() >= duration(\"17h\")", 8 * hour),
        ("context.now.toTime() <= duration(\"17h\")", 8 * hour + 1),
        ("context.now.toTime() < duration(\"8h\")", 15 * hour),
        ("context.now.offset(duration(\"5h\")).toTime() < duration(\"17h\")", 3 * hour),
        ("context.now.toTime() < duration(\"24h\")", ever),
        ("context.now.toTime() >= duration(\"0h\")", ever),
        ("context.now.toDate() <= context.at", 15 * hour),
        ("context.now.toDate() < datetime(\"2026-12-25\")", 32 * DAY + 15 * hour),
        ("context.now.toDate() == datetime(\"2026-12-25\")", 32 * DAY + 15 * hour),
        ("context.now.toDate() <= datetime(\"2026-12-24T18:00:00Z\")", 32 * DAY + 15 * hour),
        ("context has now && context.now < principal.expires", hour),
        ("principal has ends && context.now < principal.ends", ever),
        ("context.count == 2", ever),
        // Two of them: the first that comes.
        ("context.now < principal.expires && context.now < context.at", hour),
        ("if context.now < context.at then principal.level == 3 else context.now < principal.expires", hour),
        // What moves on both sides, or is used otherwise, is not foreseen.
        ("context.now < context.now.offset(duration(\"1h\"))", 0),
        ("[context.now].contains(context.at)", 0),
        ("context.now.toTime().toHours() * 2 < 20", 0),
        ("{at: context.now}.at < context.at", 0),
        ("context.at.offset(context.now.toTime()) < principal.expires", 0),
        ("context == context", 0),
    ] {
        assert_eq!(span(condition, now).1, end, "{condition}");
    }
}

#[test]
fn a_decision_holds_back_to_the_instant_at_which_it_changed() {
    let hour = 3_600_000;
    let now = MIDNIGHT + 11 * hour;
    for (condition, begin) in [
        ("context.now < principal.expires", -hour),
        ("context.now <= principal.expires", 1 - hour),
        ("context.now < context.at", i64::MIN),
        ("context.now.toTime() < duration(\"9h\")", -2 * hour),
        ("context.now.toTime() < duration(\"17h\")", -11 * hour),
        ("context.at.durationSince(context.now) > context.span", hour / 2 - hour),
        ("[context.now].contains(context.at)", 0),
    ] {
        assert_eq!(span(condition, now).0, begin, "{condition}");
    }
}

#[test]
fn what_leaves_the_range_of_datetimes_fails_then_and_not_before() {
    let most = "duration(\"9223372036854775807ms\")";
    let condition = format!("context.now.offset({most}) > context.at || true");
    // Before 1970 the sum is within range.
    assert_eq!(span(&condition, -5).1, 6);
    assert_eq!(span(&condition, 5).1, 0, "it fails now, and nobody says until when");
    let least = "duration(\"-9223372036854775808ms\")";
    let condition = format!("context.now.offset({least}) < context.at && true");
    assert_eq!(span(&condition, 0), (0, i64::MAX));
}

fn instant() -> impl Strategy<Value = String> {
    const TEXTS: [&str; 5] = [
        "2026-11-22",
        "2026-11-22T10:00:00Z",
        "2026-11-21T23:59:59.999Z",
        "2026-11-23T08:15:00Z",
        "1969-12-31",
    ];
    prop_oneof![
        2 => select(&TEXTS[..]).prop_map(|text| format!("datetime(\"{text}\")")),
        2 => Just("principal.expires".to_owned()),
        1 => Just("context.at".to_owned()),
        1 => Just("resource.born".to_owned()),
        1 => Just("context.at.offset(context.span)".to_owned()),
        1 => Just("resource.born.offset(resource.kept).toDate()".to_owned()),
        1 => Just("(if context.count > 1 then principal.expires else context.at)".to_owned()),
        1 => Just("(if principal has ends then principal.ends else resource.born)".to_owned()),
    ]
}

fn length() -> impl Strategy<Value = String> {
    const TEXTS: [&str; 11] = [
        "0ms",
        "1ms",
        "-1h",
        "8h",
        "17h30m",
        "23h59m59s999ms",
        "24h",
        "25h",
        "2d",
        "-3d",
        "9223372036854775807ms",
    ];
    prop_oneof![
        4 => select(&TEXTS[..]).prop_map(|text| format!("duration(\"{text}\")")),
        1 => Just("principal.grace".to_owned()),
        1 => Just("context.span".to_owned()),
        1 => Just("context.at.durationSince(resource.born)".to_owned()),
        1 => Just("principal.expires.toTime()".to_owned()),
    ]
}

fn count() -> impl Strategy<Value = String> {
    prop_oneof![(-50_i64..50).prop_map(|count| count.to_string()), Just("context.count".to_owned())]
}

/// Datetimes that move with the time.
fn moving() -> impl Strategy<Value = String> {
    let now = prop_oneof![3 => Just("context.now".to_owned()), 1 => Just("context[\"now\"]".to_owned())];
    now.prop_recursive(2, 4, 1, |inner| {
        prop_oneof![
            3 => (inner.clone(), length()).prop_map(|(of, by)| format!("{of}.offset({by})")),
            1 => inner.prop_map(|of| format!("{of}.toDate()")),
        ]
    })
}

fn moving_length() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => moving().prop_map(|of| format!("{of}.toTime()")),
        1 => (moving(), instant()).prop_map(|(of, since)| format!("{of}.durationSince({since})")),
        1 => (moving(), instant()).prop_map(|(of, until)| format!("{until}.durationSince({of})")),
    ]
}

fn comparison() -> impl Strategy<Value = String> {
    let counts = select(&["toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays"][..]);
    let sides = prop_oneof![
        4 => (moving(), instant()),
        4 => (moving_length(), length()),
        2 => (moving_length(), counts, count()).prop_map(|(of, unit, with)| (format!("{of}.{unit}()"), with)),
    ];
    let operators = select(&["<", "<=", ">", ">=", "==", "!="][..]);
    (sides, operators, any::<bool>()).prop_map(|((moving, still), operator, turned)| {
        let (left, right) = if turned { (still, moving) } else { (moving, still) };
        format!("({left} {operator} {right})")
    })
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        8 => comparison(),
        1 => Just("context.count > 1".to_owned()),
        1 => Just("context has now".to_owned()),
        1 => Just("principal has ends && principal.ends > context.now".to_owned()),
        // Overflows, and so fails.
        1 => Just("principal.level + 9223372036854775807 > 0".to_owned()),
    ];
    leaf.prop_recursive(2, 5, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
        ]
    })
}

fn policies() -> impl Strategy<Value = String> {
    proptest::collection::vec((any::<bool>(), condition()), 1..4).prop_map(|policies| {
        let texts = policies.iter().enumerate().map(|(number, (forbids, condition))| {
            let effect = if *forbids { "forbid" } else { "permit" };
            format!("@id(\"p{number}\") {effect}(principal, action, resource) when {{ {condition} }};\n")
        });
        texts.collect()
    })
}

/// Instants at which something of the above happens, and their neighbours.
fn eventful(salt: i64) -> Vec<i64> {
    let mut instants = Vec::new();
    for day in -4..=4 {
        for of_day in [0, 10 * 3_600_000, DAY / 2, 8 * 3_600_000, 63_000_000, salt.rem_euclid(DAY)] {
            instants.extend([-1, 0, 1].map(|off| MIDNIGHT + day * DAY + of_day + off));
        }
    }
    instants.extend([0, -1, 1, 4_102_444_800_000]);
    instants
}

#[derive(Debug, Default)]
struct Account {
    ends: usize,
    sharp: usize,
    open: usize,
    unforeseen: usize,
}

/// Holds one decision to what it says of its validity.
fn check(world: &World, now: i64, salt: i64, account: &mut Account) {
    let decision = decide(world, now);
    let said = decision.validity;
    let same = |at: i64| outcome(&decide(world, at)) == outcome(&decision);
    let mut samples = eventful(salt);
    if let Some(Now(until)) = said.ends_after(Now(now)) {
        account.ends += 1;
        account.sharp += usize::from(!same(until));
        samples.extend([until - 1, now + (until - 1 - now) / 2, until - 2]);
    } else if said.contains(Now(now)) {
        account.open += 1;
    } else {
        account.unforeseen += 1;
    }
    for at in samples.into_iter().filter(|at| said.contains(Now(*at))) {
        assert!(same(at), "now {now}, at {at}: {said:?}\n{:?}", outcome(&decision));
    }
}

#[test]
fn a_decision_is_the_same_at_every_instant_at_which_it_is_said_to_hold() {
    let mut runner = soak_for_tests::runner(if cfg!(debug_assertions) { 192 } else { 4_000 });
    let account = std::cell::RefCell::new(Account::default());
    let modes = select(&[OnPolicyError::Deny, OnPolicyError::Strict, OnPolicyError::Cedar][..]);
    let instants = proptest::collection::vec((0_usize..10_000, 0_i64..DAY), 4);
    runner
        .run(&(policies(), modes, instants), |(policies, mode, instants)| {
            let Some(world) = world(&policies, mode) else { return Err(TestCaseError::reject("impossible")) };
            for (place, salt) in instants {
                let all = eventful(salt);
                check(&world, all[place % all.len()], salt, &mut account.borrow_mut());
            }
            Ok(())
        })
        .unwrap();
    let Account { ends, sharp, open, unforeseen } = account.into_inner();
    let all = ends + open + unforeseen;
    assert!(ends * 5 > all * 2, "only {ends} of {all} end");
    assert!(sharp * 4 > ends, "at the end only {sharp} of {ends} change");
    assert!(unforeseen * 4 < all, "{unforeseen} of {all} are not foreseen");
}
