//! Ways to a wrong Allow that were open once, or nearly: each must stay closed.

use mandate::engine::authorize::{Now, authorize};
use mandate::engine::catalog::Domain;
use mandate::engine::compile::{Options, Sources, compile};
use mandate::engine::datum::{Datum, Reference};
use mandate::engine::decision::{Effect, ReasonCode};
use mandate::engine::generation::OnPolicyError;
use mandate::engine::problem::SourceFile;
use mandate::engine::request::{AuthzRequest, InvalidRequest};
use mandate::engine::world::World;

const SCHEMA: &str = r#"namespace N {
  entity Team in [Team];
  entity User in [Team] = { active?: Bool };
  entity Config = { owner: User };
  entity Toolset in [Toolset];
  entity Tool in [Toolset] tags String;
  action call_tool appliesTo { principal: [User], resource: [Tool], context: { note?: String } };
}"#;
const TYPED: &str = r#"namespace N {
  @tool("t") action "t" in [call_tool] appliesTo { principal: [User], resource: [Tool],
    context: { note?: String, input: { url?: String, @json any?: String } } };
}"#;
const ENTITIES: &str = r#"[
  {"uid": {"type": "N::User", "id": "u"}, "attrs": {}, "parents": []},
  {"uid": {"type": "N::Tool", "id": "t"}, "attrs": {}, "parents": []},
  {"uid": {"type": "N::Tool", "id": "plain"}, "attrs": {}, "parents": []}
]"#;
const ALLOW_ALL: &str = r#"@id("all") permit(principal, action, resource);"#;

/// Sources under attack, and how they are compiled.
struct Attempt {
    policies: Vec<String>,
    links: Vec<String>,
    schemas: Vec<String>,
    entities: Vec<String>,
    domain: Domain,
    on_policy_error: OnPolicyError,
}

fn attempt() -> Attempt {
    Attempt {
        policies: vec![ALLOW_ALL.to_owned()],
        links: Vec::new(),
        schemas: vec![SCHEMA.to_owned()],
        entities: vec![ENTITIES.to_owned()],
        domain: Domain::in_namespace("N"),
        on_policy_error: OnPolicyError::Deny,
    }
}

impl Attempt {
    fn policy(mut self, text: &str) -> Self {
        self.policies.push(text.to_owned());
        self
    }

    fn schema(mut self, text: &str) -> Self {
        self.schemas.push(text.to_owned());
        self
    }

    fn entities(mut self, text: &str) -> Self {
        self.entities.push(text.to_owned());
        self
    }

    fn load(&self) -> Result<World, String> {
        let files = |texts: &[String], suffix: &str| {
            let named = texts.iter().enumerate();
            let file = |(at, text): (usize, &String)| SourceFile {
                name: format!("{at}{suffix}"),
                bytes: text.clone().into(),
            };
            named.map(file).collect::<Vec<_>>()
        };
        let sources = Sources {
            policies: files(&self.policies, ".cedar"),
            links: files(&self.links, ".links.json"),
            schemas: files(&self.schemas, ".cedarschema"),
            entities: files(&self.entities, ".json"),
            ..Sources::default()
        };
        let options = Options {
            on_policy_error: self.on_policy_error,
            domain: self.domain.clone(),
            ..Options::default()
        };
        compile(&sources, &options).map(|loaded| loaded.world).map_err(|report| report.to_string())
    }

    #[track_caller]
    fn rejected(&self, because: &str) {
        let report = self.load().err().unwrap_or_else(|| panic!("loads, though: {because}"));
        assert!(report.contains(because), "{report}");
    }
}

fn call(tool: &str) -> AuthzRequest {
    AuthzRequest::new(
        Reference::new("N::User", "u"),
        Reference::new("", "call_tool"),
        Reference::new("N::Tool", tool),
    )
}

fn decide(world: &World, request: &AuthzRequest) -> Result<(Effect, Option<ReasonCode>), InvalidRequest> {
    let decision = authorize(world, request, Now(1_795_341_600_000))?;
    Ok((decision.effect, decision.denial.map(|denial| denial.code)))
}

fn arguments(text: &str) -> Option<Datum> {
    Some(serde_json::from_str(text).unwrap())
}

#[test]
fn a_reference_behind_an_entity_that_a_policy_names_must_lead_somewhere() {
    let forbid = r#"@id("f") forbid(principal, action, resource) when { N::Config::"main".owner in N::Team::"blocked" };"#;
    let config = |owner: &str| {
        format!(
            r#"[{{"uid": {{"type": "N::Config", "id": "main"}}, "parents": [],
                 "attrs": {{"owner": {{"__entity": {{"type": "N::User", "id": "{owner}"}}}}}}}},
                {{"uid": {{"type": "N::Team", "id": "blocked"}}, "attrs": {{}}, "parents": []}}]"#
        )
    };
    let sound = attempt().policy(forbid).entities(&config("u")).load().unwrap();
    assert_eq!(decide(&sound, &call("plain")).unwrap(), (Effect::Allow, None));
    let dangling = attempt().policy(forbid).entities(&config("gone")).load().unwrap();
    assert_eq!(decide(&dangling, &call("plain")).unwrap(), (Effect::Deny, Some(ReasonCode::UnknownEntity)));
}

#[test]
fn a_typed_action_is_in_call_tool_and_names_a_stored_tool() {
    attempt().schema(&TYPED.replace(" in [call_tool]", "")).rejected("is not in `N::Action::\"call_tool\"`");
    attempt().schema(&TYPED.replace("@tool(\"t\")", "@tool")).rejected("names no tool");
    attempt().schema(&TYPED.replace("@tool(\"t\")", "@tool(\"T\")")).rejected("which is not stored");
}

#[test]
fn a_typed_tool_is_decided_by_its_arguments_or_not_at_all() {
    let forbid = r#"@id("f") forbid(principal, action == N::Action::"t", resource)
                    unless { context.input has url && context.input.url like "https://ok/*" };"#;
    let world = attempt().schema(TYPED).policy(forbid).load().unwrap();
    let mut request = call("t");
    assert_eq!(decide(&world, &request).unwrap_err().field, "arguments");
    request.arguments = arguments(r#"{"url": "http://evil"}"#);
    assert_eq!(decide(&world, &request).unwrap(), (Effect::Deny, Some(ReasonCode::Forbidden)));
    request.arguments = arguments(r#"{"url": "https://ok/page"}"#);
    assert_eq!(decide(&world, &request).unwrap(), (Effect::Allow, None));
}

#[test]
fn numbers_that_json_cannot_say_exactly_never_become_json_text() {
    let world = attempt().schema(TYPED).load().unwrap();
    let mut request = call("t");
    for value in [
        Datum::Number(f64::NAN),
        Datum::Number(f64::INFINITY),
        Datum::Long(9_007_199_254_740_993),
        Datum::Number(18_446_744_073_709_551_615.0),
    ] {
        request.arguments = Some(Datum::Record(vec![("any".to_owned(), Datum::List(vec![value]))]));
        assert!(decide(&world, &request).is_err());
    }
    request.arguments = arguments(r#"{"any": [9007199254740991, 0.1]}"#);
    assert_eq!(decide(&world, &request).unwrap().0, Effect::Allow);
}

#[test]
fn a_domain_that_the_schema_does_not_declare_switches_nothing_off() {
    let mut default = attempt();
    default.domain = Domain::default();
    default.rejected("declares nothing in namespace `Mandate`");
    let mut typo = attempt();
    typo.domain.chain_required = vec!["N::Agnet".to_owned()];
    typo.rejected("names `N::Agnet`");
}

#[test]
fn a_principal_that_nobody_listed_does_not_act_alone_by_accident() {
    let bots = r#"namespace N { entity Bot; action beep appliesTo { principal: [Bot], resource: [Tool], context: {} }; }"#;
    attempt().schema(bots).rejected("N::Bot would act without a delegation");
    let mut listed = attempt().schema(bots);
    listed.domain.chain_required = vec!["N::Bot".to_owned()];
    assert!(listed.load().is_ok());
    let mut opted_out = attempt().schema(bots);
    opted_out.domain.chain_required = Vec::new();
    assert!(opted_out.load().is_ok());
    let mut unnamed = attempt();
    unnamed.schemas = vec!["entity Agent; entity Tool; action call_tool appliesTo { principal: [Agent], resource: [Tool], context: {} };".to_owned()];
    unnamed.entities = vec![r#"[{"uid": {"type": "Agent", "id": "a"}, "attrs": {}, "parents": []}, {"uid": {"type": "Tool", "id": "t"}, "attrs": {}, "parents": []}]"#.to_owned()];
    unnamed.domain = Domain::in_namespace("");
    let world = unnamed.load().unwrap();
    let request = AuthzRequest::new(
        Reference::new("Agent", "a"),
        Reference::new("", "call_tool"),
        Reference::new("Tool", "t"),
    );
    assert_eq!(decide(&world, &request).unwrap(), (Effect::Deny, Some(ReasonCode::ChainRequired)));
}

#[test]
fn what_mandate_fills_in_must_exist_too() {
    let schema = r#"namespace N { entity RoleGroup; entity Role in [RoleGroup]; @request_scoped entity Note;
        action ask appliesTo { principal: [User], resource: [Tool], context: { delegation: { role: Role } } }; }"#;
    let forbid = r#"@id("f") forbid(principal, action, resource) when { context has delegation && context.delegation.role in N::RoleGroup::"direct" };"#;
    let group = r#"{"uid": {"type": "N::RoleGroup", "id": "direct"}, "attrs": {}, "parents": []}"#;
    let role = r#"{"uid": {"type": "N::Role", "id": "self"}, "attrs": {}, "parents": [{"type": "N::RoleGroup", "id": "direct"}]}"#;
    let ask = |entities: &str, supplied: bool| {
        let world = attempt().schema(schema).policy(forbid).entities(entities).load().unwrap();
        let mut request = call("plain");
        request.action = Reference::new("", "ask");
        if supplied {
            request.entities.push(mandate::engine::request::RequestEntity {
                uid: Reference::new("N::Note", "n"),
                form: mandate::engine::convert::Form::Typed,
                attributes: Vec::new(),
                tags: Vec::new(),
                parents: Vec::new(),
            });
        }
        decide(&world, &request).unwrap().1
    };
    for supplied in [false, true] {
        assert_eq!(ask(&format!("[{group}]"), supplied), Some(ReasonCode::UnknownEntity), "{supplied}");
        assert_eq!(ask(&format!("[{group}, {role}]"), supplied), Some(ReasonCode::Forbidden), "{supplied}");
    }
}

#[test]
fn a_caller_never_supplies_what_a_stored_entity_refers_to() {
    let schema = r#"namespace N { @request_scoped entity Folder in [Folder]; entity Desk = { home: Folder };
        action open appliesTo { principal: [User], resource: [Folder], context: { desk: Desk } }; }"#;
    let permit = r#"@id("p") permit(principal, action == N::Action::"open", resource) when { resource in context.desk.home };"#;
    let desk = r#"[{"uid": {"type": "N::Desk", "id": "d"}, "parents": [], "attrs": {"home": {"__entity": {"type": "N::Folder", "id": "h"}}}}]"#;
    let mut attempt = attempt().schema(schema).entities(desk);
    attempt.policies = vec![permit.to_owned()];
    let world = attempt.load().unwrap();
    let folder = |id: &str, parents: Vec<Reference>| mandate::engine::request::RequestEntity {
        uid: Reference::new("N::Folder", id),
        form: mandate::engine::convert::Form::Typed,
        attributes: Vec::new(),
        tags: Vec::new(),
        parents,
    };
    let home = Reference::new("N::Folder", "h");
    let mut request = AuthzRequest::new(
        Reference::new("N::User", "u"),
        Reference::new("", "open"),
        Reference::new("N::Folder", "x"),
    );
    request.entities = vec![folder("h", Vec::new()), folder("x", vec![home])];
    request.context =
        vec![("desk".to_owned(), serde_json::from_str(r#"{"type": "N::Desk", "id": "d"}"#).unwrap())];
    assert_eq!(decide(&world, &request).unwrap(), (Effect::Deny, Some(ReasonCode::UnknownEntity)));
}

#[test]
fn a_forbid_that_looks_at_something_by_name_has_it_stored() {
    let forbid = r#"@id("f") forbid(principal, action, resource) when { N::Tool::"freeze".hasTag("on") };"#;
    attempt().policy(forbid).rejected("names N::Tool::\"freeze\", which is not stored");
}

#[test]
fn parents_are_stored() {
    let entity = r#"[{"uid": {"type": "N::Tool", "id": "x"}, "attrs": {}, "parents": [{"type": "N::Toolset", "id": "gone"}]}]"#;
    attempt().entities(entity).rejected("is in N::Toolset::\"gone\", which is not stored");
}

#[test]
fn an_entity_that_policies_name_is_never_the_callers_to_supply() {
    let schema = r#"namespace N { @request_scoped entity Doc in [Doc];
        action view appliesTo { principal: [User], resource: [Doc], context: {} }; }"#;
    let permit = r#"@id("p") permit(principal, action == N::Action::"view", resource in N::Doc::"public");"#;
    attempt().schema(schema).policy(permit).rejected("names N::Doc::\"public\", which is not stored");
}

#[test]
fn a_forbid_means_the_actions_in_an_action_too() {
    for condition in [
        "action == N::Action::\"call_tool\"",
        "[N::Action::\"call_tool\"].contains(action)",
        "N::Action::\"call_tool\" == action",
        "[N::Action::\"call_tool\"].containsAny([action])",
        "[action] == [N::Action::\"call_tool\"]",
        "{a: action}.a == N::Action::\"call_tool\"",
    ] {
        let forbid = format!("@id(\"f\") forbid(principal, action, resource) when {{ {condition} }};");
        attempt().schema(TYPED).policy(&forbid).rejected("leaves out the actions in it");
    }
    let forbid = r#"@id("f") forbid(principal, action == N::Action::"call_tool", resource);"#;
    attempt().schema(TYPED).policy(forbid).rejected("does not forbid the actions in it");
    let sound = r#"@id("f") forbid(principal, action, resource) when { action in N::Action::"call_tool" };"#;
    let world = attempt().schema(TYPED).policy(sound).load().unwrap();
    assert_eq!(decide(&world, &call("plain")).unwrap().0, Effect::Deny);
}

#[test]
fn a_forbid_template_is_linked_and_its_link_says_one_thing() {
    let template = r#"@id("f") forbid(principal == ?principal, action, resource);"#;
    attempt().policy(template).rejected("has no link");
    let mut twice = attempt().policy(template);
    twice.links.push(
        r#"[{"template_id": "f", "link_id": "l", "args": {"?principal": "N::User::\"u\"", "?principal": "N::User::\"v\""}}]"#.to_owned(),
    );
    twice.rejected("duplicate member");
}

#[test]
fn a_misspelt_member_of_an_entity_is_an_error() {
    let entity = r#"[{"uid": {"type": "N::Tool", "id": "x"}, "attrs": {}, "parents": [], "tag": {"quarantined": "yes"}}]"#;
    attempt().entities(entity).rejected("`tag` is no member of an entity");
}

#[test]
fn texts_that_crash_or_stall_a_parser_are_refused_first() {
    let deep = "(".repeat(30_000);
    attempt().policy(&format!("// comment\r{deep}")).rejected("nested deeper");
    let long_has = format!(
        "@id(\"f\") forbid(principal, action, resource) when {{ context has a{} }};",
        ".a".repeat(3_000)
    );
    attempt().policy(&long_has).rejected("expressions deep");
    let doubling: String =
        (1..40).map(|n| format!("type T{n} = {{ a: T{}, b: T{} }};", n - 1, n - 1)).collect();
    attempt()
        .schema(&format!("namespace N {{ type T0 = {{ a: Long }}; {doubling} }}"))
        .rejected("unfolds to more");
    let chain: String = (1..2_000).map(|n| format!("type C{n} = {{ a: C{} }};", n - 1)).collect();
    attempt()
        .schema(&format!("namespace N {{ type C0 = {{ a: Long }}; {chain} }}"))
        .rejected("unfolds to more");
}

#[test]
fn a_policy_error_tells_callers_no_data() {
    let forbid = r#"@id("f") forbid(principal, action, resource) when { context.secret + 1 > 0 };"#;
    let schema = SCHEMA.replace("note?: String", "note?: String, secret: Long");
    let mut attempt = attempt().policy(forbid);
    attempt.schemas = vec![schema];
    let world = attempt.load().unwrap();
    let mut request = call("plain");
    request.context_form = mandate::engine::convert::Form::CedarJson;
    request.context = vec![("secret".to_owned(), Datum::Long(i64::MAX))];
    let decision = authorize(&world, &request, Now(0)).unwrap();
    assert_eq!(decision.denial.unwrap().code, ReasonCode::PolicyError);
    assert_eq!(decision.errors[0].failure.summary, "a number overflows");
}

/// Runs on a stack too small for the deepest conditions that load.
fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(384 * 1024).spawn(work).unwrap().join().unwrap()
}

#[test]
fn a_forbid_too_deep_for_the_stack_denies_in_every_mode() {
    let deep = format!("{}true", "(context has note && context.note == \"x\") || ".repeat(190));
    let forbid = format!("@id(\"f\") forbid(principal, action, resource) when {{ {deep} }};");
    for on_policy_error in [OnPolicyError::Deny, OnPolicyError::Strict, OnPolicyError::Cedar] {
        let mut attempt = attempt().policy(&forbid);
        attempt.on_policy_error = on_policy_error;
        let world = attempt.load().unwrap();
        let denied = on_a_small_stack(move || decide(&world, &call("plain")).unwrap());
        assert_eq!(denied, (Effect::Deny, Some(ReasonCode::PolicyError)), "{on_policy_error:?}");
    }
}

#[test]
fn supplied_entities_in_each_other_many_times_over_are_refused_soon() {
    let schema = r#"namespace N { @request_scoped entity Doc in [Doc]; entity Seen;
        action view appliesTo { principal: [User], resource: [Doc], context: {} }; }"#;
    let world = attempt().schema(schema).load().unwrap();
    let name = |layer: usize, at: usize| Reference::new("N::Doc", format!("{layer}/{at}"));
    let mut request =
        AuthzRequest::new(Reference::new("N::User", "u"), Reference::new("", "view"), name(0, 0));
    for layer in 0..30 {
        for at in 0..30 {
            let above = if layer == 29 { 0 } else { 18 };
            request.entities.push(mandate::engine::request::RequestEntity {
                uid: name(layer, at),
                form: mandate::engine::convert::Form::Typed,
                attributes: Vec::new(),
                tags: Vec::new(),
                parents: (0..above).map(|parent| name(layer + 1, (at + parent) % 30)).collect(),
            });
        }
    }
    let started = std::time::Instant::now();
    let refused = decide(&world, &request).unwrap_err();
    assert!(refused.message.contains("10000 times"), "{refused}");
    assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn what_a_refusal_repeats_is_short_and_plain() {
    let world = attempt().load().unwrap();
    let mut request = call("plain");
    request.context = vec![(format!("\u{1b}[31m{}", "k".repeat(5_000)), Datum::Bool(true))];
    let refused = decide(&world, &request).unwrap_err();
    assert!(refused.field.len() <= 520 && refused.message.len() <= 520, "{refused}");
    assert!(!refused.to_string().contains('\u{1b}'));
}
