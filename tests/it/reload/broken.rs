//! Sets that must be rejected, pushed under load (F1), and sets whose parts do not fit.

use std::time::Duration;

use serde_json::Value;

use super::{PATIENCE, PERMIT, Pair, QUICK, entities, hide, hiding, start, status_where};
use crate::support::{Process, SMALL_SCHEMA, Sources, binary};

/// A bad push: the file, what is written to it, the place that is named, and what is said.
struct Push {
    file: &'static str,
    content: Vec<u8>,
    place: &'static str,
    saying: &'static str,
}

fn push(file: &'static str, content: impl Into<Vec<u8>>, place: &'static str, saying: &'static str) -> Push {
    Push { file, content: content.into(), place, saying }
}

fn bad_pushes() -> Vec<Push> {
    let good = PERMIT.to_owned() + &hide("plan");
    let base = "policies/base.cedar";
    let with = |more: &str| good.clone() + more;
    let after = |bytes: &[u8]| [good.as_bytes(), bytes].concat();
    let bom = "\u{feff}".to_owned() + &good;
    let deep = format!(
        "@id(\"deep\")\npermit (principal, action, resource) when {{ {}true{} }};\n",
        "(".repeat(150),
        ")".repeat(150)
    );
    vec![
        push(base, with("permit (principal, action resource);\n"), "base.cedar:5", ""),
        push(base, "", "base.cedar", "holds no policy"),
        push(base, "(".repeat(1 << 20), "base.cedar:1", "nested deeper"),
        push(base, after(b"// \xff\xfe\n"), "base.cedar", "UTF-8"),
        push(base, bom, "base.cedar", "byte order mark"),
        push(base, after(b"// \0\n"), "base.cedar:5", "NUL"),
        push(base, with(PERMIT), "base.cedar:5", "base"),
        push(
            base,
            with("@id(\"open\")\npermit (principal == ?somebody, action, resource);\n"),
            "base.cedar",
            "",
        ),
        push(base, with(&deep), "base.cedar:6", "nested deeper"),
        push(
            base,
            with("@id(\"odd\")\npermit (principal, action, resource) when { uuid(\"1\") };\n"),
            "base.cedar:6",
            "uuid",
        ),
        push("schemas/small.cedarschema", "", "small.cedarschema", ""),
        push("entities/base.json", "[{", "base.json", "line 1"),
        push(
            "entities/base.json",
            entities().to_string().replace("\"level\":1", "\"level\":\"x\""),
            "base.json",
            "level",
        ),
    ]
}

fn problems(status: &Value) -> Vec<String> {
    let list = status["last_load"]["problems"].as_array().expect("a list");
    list.iter().map(|text| text.as_str().expect("text").to_owned()).collect()
}

#[test]
fn a_bad_push_changes_no_answer_and_is_told_everywhere() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (mut process, load) = start(&sources, &QUICK);
    let pid = process.pid();
    for (number, push) in bad_pushes().iter().enumerate() {
        let before = std::fs::read(sources.path(push.file)).unwrap();
        let rejected = process.metric("pdp_reloads_total{outcome=\"rejected\"}");
        let said = process.said().len();
        sources.put(push.file, &push.content);
        let status = status_where(&process, Duration::from_secs(2), |status| status["serving_stale"] == true);
        let told = problems(&status);
        let named = |text: &str| text.contains(push.place) && text.contains(push.saying);
        assert!(
            told.iter().any(|text| named(text)),
            "{number}: `{}` `{}`: {told:#?}",
            push.place,
            push.saying
        );
        assert_eq!(status["last_load"]["outcome"], "rejected", "{number}");
        assert_eq!(status["generation"], pair.plan_hidden.as_str(), "{number}");
        assert_eq!(process.metric("pdp_serving_stale"), 1.0, "{number}");
        assert!(process.metric("pdp_reloads_total{outcome=\"rejected\"}") > rejected, "{number}");
        process.until_said(said, &["the files are rejected", push.place]);
        sources.put(push.file, before);
        status_where(&process, PATIENCE, |status| status["serving_stale"] == false);
        assert_eq!(process.metric("pdp_serving_stale"), 0.0, "{number}");
    }
    assert_eq!(process.pid(), pid);
    assert!(process.is_alive());
    let answered = pair.truth().check(&load.finish());
    assert_eq!(answered.len(), 1, "nothing but what was good was served: {answered:?}");
}

/// It decides nothing, which is no reason to hold up everything else.
#[test]
fn a_template_without_a_link_loads_and_is_warned_of() {
    let pair = Pair::learn();
    let open = "@id(\"open\")\npermit (principal == ?principal, action, resource);\n";
    let text = PERMIT.to_owned() + &hide("notes") + open;
    let with_template = hiding("notes").policy("base.cedar", &text).generation();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &QUICK);
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    sources.put("policies/base.cedar", &text);
    load.until(PATIENCE, |call| call.is_of(&with_template));
    let status = process.status();
    assert!(
        status["last_load"]["warnings"].to_string().contains("template `open` has no link"),
        "{status:#}"
    );
    pair.truth().and(&with_template, &[true, false]).check(&load.finish());
}

#[test]
fn a_schema_that_is_taken_away_takes_nothing_else_with_it() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &QUICK);
    std::fs::remove_file(sources.path("schemas/small.cedarschema")).unwrap();
    let status = status_where(&process, Duration::from_secs(2), |status| status["serving_stale"] == true);
    assert!(problems(&status).iter().any(|text| text.contains("schema")), "{status:#}");
    std::fs::remove_dir_all(sources.path("policies")).unwrap();
    super::pause(400);
    std::fs::create_dir(sources.path("policies")).unwrap();
    sources.put("policies/base.cedar", PERMIT.to_owned() + &hide("notes"));
    sources.put("schemas/small.cedarschema", SMALL_SCHEMA);
    load.until(PATIENCE, |call| call.is_of(&pair.notes_hidden));
    status_where(&process, PATIENCE, |status| status["serving_stale"] == false);
    pair.truth().check(&load.finish());
}

/// Twenty thousand policies in a release build; a debug build takes minutes for them.
#[test]
fn a_file_of_very_many_policies_loads_under_load_and_decides_rightly() {
    let count = if binary().iter().any(|part| part == "release") { 20_000 } else { 500 };
    let many: String = (0..count)
        .map(|at| format!("@id(\"p{at}\")\npermit (principal, action, resource) when {{ principal.level == -{at} - 1 }};\n"))
        .collect();
    let pair = Pair::learn();
    let text = PERMIT.to_owned() + &hide("notes") + &many;
    let larger = hiding("plan").policy("base.cedar", &text).generation();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &QUICK);
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    sources.put("policies/base.cedar", &text);
    load.until(Duration::from_secs(60), |call| call.is_of(&larger));
    pair.truth().and(&larger, &[true, false]).check(&load.finish());
    process.terminate().check_code(0);
}

#[test]
fn nothing_but_bad_files_at_the_start_is_never_served() {
    for push in bad_pushes() {
        let sources = hiding("plan");
        sources.put(push.file, &push.content);
        let ended = Process::try_start(&sources).expect_err("it must not start");
        ended.check_code(3);
        assert!(!ended.stderr.contains("gRPC"), "{ended:?}");
        let name = push.place.split(':').next().unwrap();
        assert!(ended.stderr.contains(name), "{name}: {ended:?}");
    }
    Process::try_start(&Sources::empty()).expect_err("an empty set must not start").check_code(3);
}
