//! Lists, shown as far as the agent may use what is on them.

use serde_json::Value;

use super::catalog::Page;
use super::decider::Answered;
use super::definitions::next_cursor;
use super::message::{INTERNAL_ERROR, Outcome, error};
use super::methods::Listed;
use super::question::Occasion;
use super::refusal;
use super::relay::Relay;
use super::verdict::Verdict;
use crate::mcp::Definition;
use crate::server::pb;

impl Listed {
    /// Where the list stands in its result, and what names each thing on it.
    fn members(self) -> (&'static str, &'static str) {
        match self {
            Self::Tools => ("tools", "name"),
            Self::Resources => ("resources", "uri"),
            Self::Templates => ("resourceTemplates", "uriTemplate"),
            Self::Prompts => ("prompts", "name"),
        }
    }
}

impl Relay {
    /// What the agent is shown of a list.
    pub(super) async fn listed(
        &self,
        listed: Listed,
        is_first: bool,
        mut result: Value,
        occasion: Occasion,
    ) -> Outcome {
        let page = Page { is_first, is_last: next_cursor(&result).is_none() };
        let (list, _) = listed.members();
        let Some(Value::Array(items)) = result.get_mut(list) else {
            return Err(error(INTERNAL_ERROR, &format!("the server's list has no `{list}`")));
        };
        let mut items = std::mem::take(items);
        if listed == Listed::Tools {
            let defined = self.state().catalog.defined(&items, page);
            defined.map_err(|problem| error(INTERNAL_ERROR, &problem))?;
            self.may_list(&occasion).await?;
        }
        if !self.asker.observe {
            items = self.usable(listed, items, &occasion).await;
        }
        if listed == Listed::Tools {
            self.state().catalog.shown(&items, page);
        }
        if let Some(members) = result.as_object_mut() {
            members.insert(list.to_owned(), Value::Array(items));
            // What one agent is shown is not for another.
            if let Some(scope) = members.get_mut("cacheScope") {
                *scope = "private".into();
            }
        }
        Ok(result)
    }

    async fn may_list(&self, occasion: &Occasion) -> Result<(), Value> {
        let request = self.asker.list_tools(&self.state().facts, occasion.clone());
        match self.decide(request).await {
            Verdict::Denied(denial) if !self.asker.observe => Err(refusal::error(&denial)),
            _ => Ok(()),
        }
    }

    /// Those things on a list that the agent may use.
    async fn usable(&self, listed: Listed, items: Vec<Value>, occasion: &Occasion) -> Vec<Value> {
        if listed == Listed::Tools {
            return self.callable(items, occasion).await;
        }
        let (questions, askable): (Vec<_>, Vec<_>) = items
            .into_iter()
            .filter_map(|item| Some((self.question(listed, &item, occasion)?, item)))
            .unzip();
        let answers = self.decide_all(questions).await;
        let shown = askable.into_iter().zip(answers).filter(|(_, answer)| is_usable(answer));
        shown.map(|(item, _)| item).collect()
    }

    /// Those tools that the agent may call with some arguments.
    async fn callable(&self, items: Vec<Value>, occasion: &Occasion) -> Vec<Value> {
        let tools: Vec<_> =
            items.into_iter().filter_map(|item| Some((Definition::read(&item).ok()?, item))).collect();
        if tools.is_empty() {
            return Vec::new();
        }
        let named = tools.iter().map(|(tool, _)| (tool.name.as_str(), tool.digest.as_str()));
        let search = self.asker.callable(named, &self.state().facts, occasion.clone());
        let found = self.search(search).await;
        let shown = tools.into_iter().filter(|(tool, _)| found.contains(&self.asker.tool(&tool.name)));
        shown.map(|(_, item)| item).collect()
    }

    /// May this be used? None for what has no name: nobody could ask for it.
    fn question(&self, listed: Listed, item: &Value, occasion: &Occasion) -> Option<pb::AuthorizeRequest> {
        let (_, name) = listed.members();
        let name = item.get(name)?.as_str()?;
        let occasion = occasion.clone();
        let facts = &self.state().facts;
        match listed {
            Listed::Tools => None,
            // A template is shown to those who may read its text, taken as a URI.
            Listed::Resources | Listed::Templates => Some(self.asker.read_resource(name, facts, occasion)),
            Listed::Prompts => Some(self.asker.get_prompt(name, facts, occasion)),
        }
    }
}

fn is_usable(answered: &Answered) -> bool {
    answered.as_ref().is_ok_and(|answer| answer.decision() == pb::Decision::Allow)
}
