//! From a decision that nobody enforces to what is learned of it.

use std::sync::PoisonError;

use serde_json::{Map, Value};
use tonic::Code;

use super::decider::Answered;
use super::held::Held;
use super::relay::Relay;
use crate::server::pb;
use pb::authorize_request::{ArgumentsForm, ContextForm};

impl Relay {
    /// Learns that this was asked for. What Mandate cannot understand, no policy can allow.
    pub(super) fn learn(&self, request: &pb::AuthorizeRequest, answered: &Answered) {
        let Some(learner) = &self.learner else { return };
        let (Some(action), Some(resource)) = (&request.action, &request.resource) else { return };
        let principals = match answered {
            Ok(answer) if !answer.chain.is_empty() => {
                answer.chain.iter().filter_map(|hop| hop.principal.clone()).collect()
            }
            Ok(answer) => answer.principal.clone().into_iter().collect::<Vec<_>>(),
            Err(status) if status.code() == Code::InvalidArgument => return,
            Err(_) => request.principal.clone().into_iter().collect(),
        };
        let typed = self.decider.typed_action(resource);
        let (held, free) = self.held(request, typed.is_some());
        // Who decides elsewhere does not say by which action.
        let with_children = action.id == "call_tool" && self.decider.is_elsewhere();
        let decided = typed.map_or_else(|| action.clone(), |id| pb::EntityRef { id, ..action.clone() });
        let mut learner = learner.lock().unwrap_or_else(PoisonError::into_inner);
        learner.see(&principals, (&decided, with_children), resource, &held, &free);
    }

    fn held(&self, request: &pb::AuthorizeRequest, is_typed: bool) -> (Held, Vec<String>) {
        for name in ["uri", "prompt"] {
            if let Some(text) = fact(request, name) {
                return (Held::text(name, text), Vec::new());
            }
        }
        let Some(ArgumentsForm::ArgumentsJson(arguments)) = &request.arguments_form else {
            return (Held::default(), Vec::new());
        };
        let arguments: Map<String, Value> = serde_json::from_str(arguments).unwrap_or_default();
        if !is_typed {
            return (Held::default(), arguments.keys().cloned().collect());
        }
        let id = request.resource.as_ref().map(|resource| resource.id.as_str()).unwrap_or_default();
        let tool = id.split_once('/').map(|(_, tool)| tool).unwrap_or_default();
        let schema =
            self.state().catalog.current(tool).and_then(|definition| definition.input_schema.clone());
        Held::arguments(schema.as_ref(), &arguments)
    }
}

/// A text of the context.
fn fact<'a>(request: &'a pb::AuthorizeRequest, name: &str) -> Option<&'a str> {
    let Some(ContextForm::Context(context)) = &request.context_form else { return None };
    match context.fields.get(name)?.kind.as_ref()? {
        prost_types::value::Kind::StringValue(text) => Some(text),
        _ => None,
    }
}
