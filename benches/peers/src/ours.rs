//! Mandate: `mandate serve` as users run it, asked over gRPC.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mandate::server::pb::authorize_request::{ArgumentsForm, ContextForm};
use mandate::server::pb::{AuthorizeRequest, AuthorizeResponse, Decision, EntityRef};
use prost::Message as _;
use prost::bytes::Bytes;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::Attempt;
use crate::caller::Caller;
use crate::checked::{Checked, METHOD};
use crate::load::{Ask, Source};
use crate::world::{Members, Name, Question, World};

/// How a server of ours is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) cached: bool,
    pub(crate) logged: bool,
}

impl Setting {
    /// In words.
    pub(crate) fn name(self) -> String {
        let cache = if self.cached { "cached" } else { "uncached" };
        let log = if self.logged { "log to a file" } else { "no log" };
        format!("Mandate, {cache}, {log}")
    }

    /// The command that serves the folders of a world, writing into `data`.
    pub(crate) fn command(self, binary: &Path, root: &Path, data: &Path) -> Command {
        let mut command = Command::new(binary);
        command.arg("serve").args(["--data", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        for folder in ["policies", "schemas", "entities"] {
            command.arg(format!("--{folder}")).arg(root.join(folder));
        }
        let switch = |on: bool, yes: &str, no: &str| if on { yes.to_owned() } else { no.to_owned() };
        command.envs([
            ("MANDATE__CACHE__ENABLED", switch(self.cached, "true", "false")),
            ("MANDATE__LOG__MODE", switch(self.logged, "async", "off")),
            // A record that is dropped costs nothing, and would flatter the log.
            ("MANDATE__LOG__OVERFLOW", "block".to_owned()),
            // Peers turn nobody away: Mandate would, sooner than a paced load that has stalled is served.
            ("MANDATE__LIMITS__QUEUE_DELAY", "1m".to_owned()),
            ("MANDATE__LISTEN__OPS", "127.0.0.1:0".to_owned()),
            ("MANDATE__LISTEN__CONTROL", "127.0.0.1:0".to_owned()),
            ("MANDATE__SHUTDOWN__GRACE", "0s".to_owned()),
            ("MANDATE__DATA__DIRECTORY", data.display().to_string()),
        ]);
        command
    }
}

/// Questions as messages, by number.
#[derive(Debug)]
pub(crate) struct Encoded {
    questions: Vec<(Bytes, Decision)>,
    /// How many were asked, where none may be asked twice.
    asked: Option<AtomicUsize>,
}

impl Encoded {
    /// All questions of a world.
    pub(crate) fn of(world: &World) -> Self {
        let numbered = world.questions.iter().enumerate();
        let questions =
            numbered.map(|(number, question)| (bytes_of(question, number), decision_of(question)));
        Self { questions: questions.collect(), asked: world.never_twice.then(AtomicUsize::default) }
    }

    /// The question whose turn it is: its number, its message, its answer.
    ///
    /// # Errors
    /// There are none, or none that was not asked.
    pub(crate) fn turn(&self, number: usize) -> Result<(usize, &Bytes, Decision), &'static str> {
        let turn = match &self.asked {
            Some(asked) => asked.fetch_add(1, Ordering::Relaxed),
            None => number.checked_rem(self.questions.len()).ok_or("there is nothing to ask")?,
        };
        self.questions
            .get(turn)
            .map(|(bytes, decision)| (turn, bytes, *decision))
            .ok_or("there is nothing to ask")
    }
}

fn bytes_of(question: &Question, number: usize) -> Bytes {
    request(question, number.to_string()).encode_to_vec().into()
}

/// What a question's answer must be.
pub(crate) fn decision_of(question: &Question) -> Decision {
    if question.allowed { Decision::Allow } else { Decision::Deny }
}

/// A question as a message.
pub(crate) fn request(question: &Question, request_id: String) -> AuthorizeRequest {
    let entity = |name: &Name| Some(EntityRef { r#type: name.type_name(), id: name.id.clone() });
    let grant = |id: &String| EntityRef { r#type: "Mandate::Delegation".to_owned(), id: id.clone() };
    AuthorizeRequest {
        request_id,
        principal: entity(&question.principal),
        action: entity(&Name::new("Action", question.action.as_str())),
        resource: entity(&question.resource),
        context_form: Some(ContextForm::Context(structure(&question.context))),
        arguments_form: question
            .arguments
            .as_ref()
            .map(|members| ArgumentsForm::Arguments(structure(members))),
        delegations: question.delegation.iter().map(grant).collect(),
        ..AuthorizeRequest::default()
    }
}

/// Members as protobuf has them.
pub(crate) fn structure(members: &Members) -> Struct {
    let fields: BTreeMap<_, _> = members.iter().map(|(name, member)| (name.clone(), value(member))).collect();
    Struct { fields }
}

/// A value as protobuf has it.
pub(crate) fn value(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(*truth),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(self::value).collect() }),
        Json::Object(members) => Kind::StructValue(structure(members)),
    };
    Value { kind: Some(kind) }
}

/// Holds an answer against what is expected of the question of that number.
pub(crate) fn check(
    answer: &Checked,
    number: usize,
    expected: Decision,
    generation: &str,
) -> Result<Source, String> {
    answer.check((expected, &number.to_string(), generation))
}

/// Holds an answer that may come in any order against what is expected of the question whose number it has.
pub(crate) fn check_by_id(answer: &Checked, questions: &Encoded, generation: &str) -> Result<Source, String> {
    let number: usize = answer.request_id.parse().map_err(|_| "an answer has no number")?;
    let (number, _, expected) = questions.turn(number)?;
    check(answer, number, expected, generation)
}

/// A connection to a server that answers as Mandate does.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) caller: Caller,
    pub(crate) generation: Arc<str>,
    pub(crate) questions: Arc<Encoded>,
}

impl Connection {
    /// Connects; the generation of the first answer is the one that every answer must come from.
    ///
    /// # Errors
    /// The server cannot be reached, or does not answer the first question.
    pub(crate) async fn open(url: &str, questions: &Arc<Encoded>) -> Attempt<Self> {
        let mut caller = Caller::connect(url).await?;
        let (_, first, _) = questions.turn(0)?;
        let answer: Checked = caller.call(METHOD, first).await?;
        if answer.generation.is_empty() {
            return Err("the server's answers name no generation".into());
        }
        Ok(Self { caller, generation: answer.generation.into(), questions: Arc::clone(questions) })
    }

    /// Whole answers to all questions, for an echo to repeat.
    ///
    /// # Errors
    /// A call fails.
    pub(crate) async fn answers(&mut self) -> Attempt<Vec<AuthorizeResponse>> {
        let questions = Arc::clone(&self.questions);
        let mut answers = Vec::with_capacity(questions.questions.len());
        for (bytes, _) in &questions.questions {
            answers.push(self.caller.call(METHOD, bytes).await?);
        }
        Ok(answers)
    }
}

impl Ask for Connection {
    async fn ask(&mut self, number: usize) -> Result<Source, String> {
        let questions = Arc::clone(&self.questions);
        let (number, bytes, expected) = questions.turn(number)?;
        let answer: Checked = self.caller.call(METHOD, bytes).await.map_err(|error| error.to_string())?;
        check(&answer, number, expected, &self.generation)
    }
}
