//! The law of compiling one set after another: it comes to what compiling afresh comes to, whatever was compiled before.

use miette::Diagnostic as _;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::engine::cedar::{CompiledPolicy, walk};

const SCHEMA: &str = r#"
namespace Mandate {
  entity Team;
  entity User in [Team] = { level: Long };
  entity Doc in [Doc] = { level: Long, owner?: User };
  action view, edit in [all] appliesTo { principal: [User], resource: [Doc], context: { count?: Long, now?: datetime } };
  action all;
}
"#;

const ENTITIES: &str = r#"[
  {"uid": {"type": "Mandate::Team", "id": "a"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Mandate::User", "id": "u"}, "attrs": {"level": 1}, "parents": [{"type": "Mandate::Team", "id": "a"}]}
]"#;

/// Texts that a file may hold, clean and otherwise; `#` stands for a number.
const PIECES: [&str; 26] = [
    "@id(\"p#\") permit (principal, action, resource);",
    "@id(\"p#\")\npermit (principal == Mandate::User::\"u\", action == Mandate::Action::\"view\", resource)\nwhen { resource.level > # && principal.level == 1 };",
    "@id(\"p#\") @reason(\"no; not \\\"now\\\" // never;\")\nforbid (principal in Mandate::Team::\"a\", action, resource)\n  // why; so\n  unless { context has count && context.count > # };",
    "@id(\"p#\") permit (principal, action in [Mandate::Action::\"view\", Mandate::Action::\"edit\"], resource) when { context has now && context.now < datetime(\"2030-01-01\") };",
    "// a comment; it says nothing\n\n",
    "\r\n\r\n\t",
    // Warned of: not stored, of no effect, of mixed scripts.
    "@id(\"p#\") permit (principal in Mandate::Team::\"gone#\", action, resource);",
    "@id(\"p#\")\npermit (principal is Mandate::Doc, action, resource);",
    "@id(\"p#\")\npermit (principal, action, resource) when { \"s\u{0440}oof\" == \"#\" || principal.level == 1 };",
    "@id(\"p#\")\npermit (principal, action, resource) when { action == Mandate::Action::\"all\" };",
    // Refused.
    "@id(\"p#\") forbid (principal, action == Mandate::Action::\"all\", resource);",
    "@id(\"p#\") permit (principal, action, resource) when { principal.salary > # && resource.none };",
    "@id(\"p#\") permit (principal, action, resource)\nwhen { 1 == \"2\" };",
    "@id(\"p#\") permit (principal, action, resource)\nwhen { false };",
    "@id(\"p#\") @obligation(\"log\") permit (principal, action, resource);",
    "@id(\"p#\") @obligation(\"{\\\"id\\\": \\\"o#\\\", \\\"type\\\": \\\"log\\\"}\") @reuse(\"30s\") permit (principal, action, resource);",
    "@id(\"emergency:p#\") permit (principal, action, resource);",
    "permit (principal, action, resource);",
    "@id(\"p#\") permit (principal, action);",
    "@id(\"p#\") permit (principal, action, resource)",
    ";",
    "@id(\"p#\") forbid (principal == Mandate::User::\"gone\", action, resource) when { Mandate::User::\"gone\".level > 1 };",
    // Templates, linked and not.
    "@id(\"t\") permit (principal == ?principal, action, resource in ?resource) when { resource.level > # };",
    "@id(\"t#\")\nforbid (principal in ?principal, action, resource) when { principal.level == \"#\" };",
    "@id(\"t#\") permit (principal in ?principal, action, resource);",
    "@id(\"t\")\npermit (principal is Mandate::Team in ?principal, action, resource in ?resource);",
];

const LINKS: [&str; 3] = [
    "[]",
    r#"[{"template_id": "t", "link_id": "l", "args": {"?principal": "Mandate::User::\"u\"", "?resource": "Mandate::Doc::\"d\""}}]"#,
    r#"[{"template_id": "p1", "link_id": "l", "args": {"?principal": "Mandate::User::\"u\""}},
        {"template_id": "t1", "link_id": "p2", "args": {"?principal": "Mandate::Gone::\"u\""}}]"#,
];

const EMERGENCY: [&str; 3] = [
    "",
    "forbid (principal, action, resource);",
    "@id(\"x\") forbid (principal, action, resource) when { principal.level > \"1\" };",
];

fn piece() -> impl Strategy<Value = String> {
    // Clean ones are likelier, so that whole sets are accepted.
    let which = prop_oneof![6 => 0_usize..6, 1 => 0_usize..PIECES.len()];
    (which, 0_u32..9).prop_map(|(which, number)| PIECES[which].replace('#', &number.to_string()))
}

/// One step from a set to the next.
#[derive(Debug, Clone)]
enum Edit {
    Insert(Index, Index, String),
    Remove(Index, Index),
    Rename(Index, u8),
    AddFile(String),
    RemoveFile(Index),
    Link(usize),
    Emergency(usize),
    Schema(bool),
    Entities(bool),
}

fn edit() -> impl Strategy<Value = Edit> {
    use Edit::*;
    prop_oneof![
        6 => (any::<Index>(), any::<Index>(), piece()).prop_map(|(file, at, text)| Insert(file, at, text)),
        5 => (any::<Index>(), any::<Index>()).prop_map(|(file, at)| Remove(file, at)),
        1 => (any::<Index>(), 0_u8..4).prop_map(|(file, name)| Rename(file, name)),
        1 => piece().prop_map(AddFile),
        1 => any::<Index>().prop_map(RemoveFile),
        1 => (0..LINKS.len()).prop_map(Link),
        1 => (0..EMERGENCY.len()).prop_map(Emergency),
        1 => any::<bool>().prop_map(Schema),
        1 => any::<bool>().prop_map(Entities),
    ]
}

/// What sources are made of.
#[derive(Debug, Clone, Default)]
struct Written {
    files: Vec<(String, Vec<String>)>,
    links: usize,
    emergency: usize,
    other_schema: bool,
    fewer_entities: bool,
}

impl Written {
    fn first(pieces: Vec<String>) -> Self {
        Self { files: vec![("a.cedar".to_owned(), pieces)], ..Self::default() }
    }

    fn apply(&mut self, edit: &Edit) {
        let count = self.files.len();
        let pick = |index: &Index| (count > 0).then(|| index.index(count));
        match edit {
            Edit::Insert(file, at, text) => {
                if let Some(file) = pick(file) {
                    let pieces = &mut self.files[file].1;
                    pieces.insert(at.index(pieces.len() + 1), text.clone());
                }
            }
            Edit::Remove(file, at) => {
                if let Some(pieces) =
                    pick(file).map(|file| &mut self.files[file].1).filter(|all| !all.is_empty())
                {
                    pieces.remove(at.index(pieces.len()));
                }
            }
            Edit::Rename(file, name) => {
                if let Some(file) = pick(file) {
                    self.files[file].0 = format!("{name}.cedar");
                }
            }
            Edit::AddFile(text) => self.files.push((format!("f{count}.cedar"), vec![text.clone()])),
            Edit::RemoveFile(file) => drop(pick(file).map(|file| self.files.remove(file))),
            Edit::Link(which) => self.links = *which,
            Edit::Emergency(which) => self.emergency = *which,
            Edit::Schema(other) => self.other_schema = *other,
            Edit::Entities(fewer) => self.fewer_entities = *fewer,
        }
    }

    fn sources(&self) -> Sources {
        let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), bytes: text.into() };
        let schema =
            if self.other_schema { SCHEMA.replace("level: Long", "level?: Long") } else { SCHEMA.to_owned() };
        let emergency = Some(EMERGENCY[self.emergency]).filter(|text| !text.is_empty());
        Sources {
            policies: self.files.iter().map(|(name, pieces)| file(name, &pieces.join("\n"))).collect(),
            links: vec![file("l.links.json", LINKS[self.links])],
            schemas: vec![file("s.cedarschema", &schema)],
            entities: vec![file("e.json", if self.fewer_entities { "[]" } else { ENTITIES })],
            emergency: emergency.map(|text| file("stop.cedar", text)).into_iter().collect(),
            ..Sources::default()
        }
    }
}

/// A policy, what fills its slots in the order of the names: it is kept in none.
fn shown(policy: &CompiledPolicy) -> String {
    let all = format!("{policy:?}");
    let (before, slots) = all.split_once("slots: ").unwrap();
    let (_, after) = slots.split_once(", text: ").unwrap();
    format!("{before}{after}{:?}", walk::literals(policy))
}

/// Everything that can be told of what sources compile to.
fn told(outcome: &Result<Loaded, Report>) -> Vec<String> {
    let lines = |problem: &Problem| {
        let labels: Vec<_> = problem.labels().into_iter().flatten().collect();
        format!("{:?} {problem} {:?} {labels:?}", problem.severity, problem.help)
    };
    let report = match outcome {
        Ok(loaded) => &loaded.warnings,
        Err(report) => report,
    };
    let mut told: Vec<_> = report.problems.iter().map(lines).collect();
    if let Ok(Loaded { world, .. }) = outcome {
        let Generation { hash, policies, .. } = &*world.generation;
        told.push(hash.to_string());
        told.extend(policies.iter().map(|policy| shown(policy)));
        told.push(world.entities.len().to_string());
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compiling_one_set_after_another_is_compiling_each_afresh(
        pieces in proptest::collection::vec(piece(), 1..6),
        edits in proptest::collection::vec(edit(), 1..12),
    ) {
        let mut written = Written::first(pieces);
        let mut compiler = Compiler::new(Options::default(), Workers::default());
        for edit in &edits {
            let sources = written.sources();
            prop_assert_eq!(told(&compiler.compile(&sources)), told(&compile(&sources, &Options::default())));
            written.apply(edit);
        }
    }
}

fn permit(id: &str, condition: &str) -> String {
    format!("@id(\"{id}\")\npermit (principal, action, resource)\nwhen {{ {condition} }};\n")
}

fn written(pieces: &[String]) -> Written {
    Written::first(pieces.to_vec())
}

fn accepted(outcome: Result<Loaded, Report>) -> Vec<Arc<CompiledPolicy>> {
    outcome.unwrap_or_else(|report| panic!("{report}")).world.generation.policies.clone()
}

fn compiler(threads: usize) -> Compiler {
    let threads = std::num::NonZeroUsize::new(threads).unwrap();
    Compiler::new(Options::default(), Workers { threads })
}

#[test]
fn only_what_changed_is_compiled_again() {
    let mut set = written(&["a", "b", "c"].map(|id| permit(id, "principal.level == 1")));
    let mut compiler = compiler(1);
    let first = accepted(compiler.compile(&set.sources()));
    set.files[0].1[1] = permit("b", "principal.level == 2");
    let second = accepted(compiler.compile(&set.sources()));
    let same: Vec<_> = first.iter().zip(&second).map(|(one, other)| Arc::ptr_eq(one, other)).collect();
    assert_eq!(same, [true, false, true]);
    // Elsewhere in the file it is the same policy, and says so.
    set.files[0].1.insert(0, "\n\n".to_owned());
    let third = accepted(compiler.compile(&set.sources()));
    let places: Vec<_> = third.iter().map(|policy| policy.location.as_str()).collect();
    assert_eq!(places, ["a.cedar:4", "a.cedar:8", "a.cedar:12"]);
    assert!(Arc::ptr_eq(third[0].text(), first[0].text()));
}

#[test]
fn a_rejected_set_takes_nothing_away_and_adds_what_was_clean() {
    let mut set = written(&["a", "b"].map(|id| permit(id, "principal.level == 1")));
    let served = set.sources();
    let mut compiler = compiler(1);
    let first = accepted(compiler.compile(&served));
    set.files[0].1[1] = permit("b", "principal.none");
    set.files[0].1.push(permit("c", "principal.level == 3"));
    compiler.compile(&set.sources()).unwrap_err();
    let schema = SourceFile { name: "s.cedarschema".to_owned(), bytes: b"entity {".into() };
    compiler.compile(&Sources { schemas: vec![schema], ..served.clone() }).unwrap_err();
    // Neither the broken schema nor the broken policy made it forget what is served.
    let again = accepted(compiler.compile(&served));
    assert!(first.iter().zip(&again).all(|(one, other)| Arc::ptr_eq(one, other)));
}

#[test]
fn under_another_schema_nothing_is_taken_over() {
    let mut set = written(&[permit("a", "principal.level == 1")]);
    let mut compiler = compiler(1);
    accepted(compiler.compile(&set.sources()));
    set.other_schema = true;
    let report = compiler.compile(&set.sources()).unwrap_err();
    assert!(report.to_string().contains("level"), "{report}");
}

#[test]
fn problems_of_any_policy_point_into_its_file() {
    let wrong = [
        permit("wrong", "principal.none == 1"),
        permit("wrong", "false"),
        "@id(\"wrong\")\nforbid (principal in ?principal, action, resource)\nwhen { principal.none == 1 };"
            .to_owned(),
        "@id(\"wrong\")\n\npermit (principal, action);".to_owned(),
    ];
    for (wrong, line) in wrong.into_iter().zip([13, 11, 13, 13]) {
        let mut pieces = ["a", "b"].map(|id| permit(id, "principal.level == 1")).to_vec();
        pieces.extend(["\n".to_owned(), wrong, permit("d", "principal.level == 1")]);
        let report = compiler(1).compile(&written(&pieces).sources()).unwrap_err();
        let lines: Vec<_> = report.errors().filter_map(Problem::line).collect();
        assert!(lines.contains(&line), "{line}: {report}");
    }
}

#[test]
fn several_threads_compile_what_one_does() {
    let mut pieces: Vec<_> = (0..400).map(|id| permit(&format!("p{id}"), "principal.level == 1")).collect();
    let mut several = compiler(3);
    let sources = written(&pieces).sources();
    let compiled = several.compile(&sources);
    assert_eq!(told(&compiled), told(&compile(&sources, &Options::default())));
    assert_eq!(accepted(compiled).len(), 400);
    for (number, piece) in pieces.iter_mut().enumerate().filter(|(number, _)| number % 2 == 0) {
        *piece = permit(&format!("p{}", number / 3), "principal.level == \"1\" && resource.none");
    }
    let sources = written(&pieces).sources();
    let outcome = several.compile(&sources);
    assert!(outcome.as_ref().unwrap_err().errors().count() > 200);
    assert_eq!(told(&outcome), told(&compile(&sources, &Options::default())));
}

#[test]
fn what_semicolons_do_not_part_is_compiled_with_its_file() {
    // Cedar's lexer takes more characters for spaces than are known here.
    let pieces =
        [permit("a", "principal.level == 1"), format!("\u{a0}{}", permit("b", "principal.level == 2"))];
    let mut compiler = compiler(1);
    let [first, second] = [0, 1].map(|_| accepted(compiler.compile(&written(&pieces).sources())));
    for policies in [&first, &second] {
        let places: Vec<_> = policies.iter().map(|policy| policy.location.as_str()).collect();
        assert_eq!(places, ["a.cedar:1", "a.cedar:5"]);
    }
    assert!(first.iter().zip(&second).all(|(one, other)| !Arc::ptr_eq(one, other)));
}

#[test]
fn a_policy_is_no_template_in_cedars_words() {
    let mut set = written(&[permit("p1", "principal.level == 1")]);
    set.links = 2;
    let report = compiler(1).compile(&set.sources()).unwrap_err();
    assert!(report.to_string().contains("expected a template, but a static policy was provided"), "{report}");
}

#[test]
fn entities_that_go_are_missed_by_policies_that_stay() {
    let mut set = written(&[
        "@id(\"p\") permit (principal in Mandate::Team::\"a\", action, resource);".to_owned(),
        permit("q", "principal.level == 1"),
    ]);
    let mut compiler = compiler(1);
    for (fewer, warnings) in [(false, 0), (true, 1), (true, 1), (false, 0)] {
        set.fewer_entities = fewer;
        let loaded = compiler.compile(&set.sources()).unwrap();
        assert_eq!(loaded.warnings.warnings().count(), warnings, "{fewer}: {}", loaded.warnings);
    }
}
