//! The law of compiling one set after another: it comes to what compiling afresh comes to, whatever was compiled before.

use miette::Diagnostic as _;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::engine::cedar::walk::reads_now;

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
const PIECES: [&str; 25] = [
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
        let file =
            |name: &str, text: &str| SourceFile { name: name.to_owned(), bytes: text.as_bytes().to_vec() };
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
        let Generation { hash, policies, timed, literals, followed, .. } = &*world.generation;
        told.push(hash.to_string());
        told.extend(policies.iter().map(|policy| format!("{policy:?} {}", reads_now(policy))));
        told.extend(timed.iter().map(|policy| policy.id.to_string()));
        told.push(format!("{literals:?}"));
        let mut attributes: Vec<_> = followed.attributes.iter().collect();
        attributes.sort();
        told.push(format!(
            "{attributes:?} {} {} {}",
            followed.literals.len(),
            followed.tags,
            followed.everything
        ));
        told.push(format!("{} {}", world.stored, world.dangling.len()));
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
