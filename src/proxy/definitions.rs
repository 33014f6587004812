//! What a tool is by its definition now: from the lists that passed, or asked of the server by the proxy itself. A tool that
//! was changed since the agent saw it is judged by what it has become.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::catalog::Page;
use super::message::{Message, Params};
use super::pending::Waiting;
use super::relay::Relay;
use crate::mcp::Definition;

/// How long a server may take to list its tools.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most pages that are asked for.
const MAX_PAGES: usize = 100;
/// What a request without a session says of itself, beside other things (2026-07-28).
const OF_REVISIONS: &str = "io.modelcontextprotocol/";

impl Relay {
    /// The definition of a tool; none if the server does not say that it has it. `params` are those of the call.
    pub(super) async fn definition(&self, tool: &str, params: &Params) -> Option<Definition> {
        {
            let state = self.state();
            if state.catalog.is_current() {
                return state.catalog.current(tool).cloned();
            }
        }
        if let Err(problem) = self.ask_definitions(params).await {
            tracing::warn!(problem, "the server's tools are not known");
        }
        self.state().catalog.current(tool).cloned()
    }

    async fn ask_definitions(&self, params: &Params) -> Result<(), String> {
        let mut cursor = None;
        for page in 0..MAX_PAGES {
            let result = self.ask_page(cursor.take(), params).await?;
            let tools = result.get("tools").and_then(Value::as_array).ok_or("the list has no `tools`")?;
            cursor = next_cursor(&result);
            let page = Page { is_first: page == 0, is_last: cursor.is_none() };
            self.state().catalog.defined(tools, page)?;
            if page.is_last {
                return Ok(());
            }
        }
        Err(format!("the list has more than {MAX_PAGES} pages"))
    }

    async fn ask_page(&self, cursor: Option<Value>, params: &Params) -> Result<Value, String> {
        let (answer, answered) = oneshot::channel();
        let begun = self.state().pending.begin(Waiting::Own(answer));
        let id = begun.map_err(|unsent| unsent.0.to_string())?;
        let params = Some(list_params(cursor, params));
        let request = Message::Request { id: id.clone(), method: "tools/list".to_owned(), params };
        let outcome = if self.to_server(request).await {
            timeout(PATIENCE, answered).await
        } else {
            Ok(Ok(Err(Value::Null)))
        };
        drop(self.state().pending.end(&id));
        match outcome {
            Ok(Ok(Ok(result))) => Ok(result),
            Ok(Ok(Err(_)) | Err(_)) => Err("the server does not list its tools".to_owned()),
            Err(_late) => Err(format!("the server did not list its tools within {PATIENCE:?}")),
        }
    }
}

/// Where the next page of a list begins, if there is one.
pub(super) fn next_cursor(result: &Value) -> Option<Value> {
    result.get("nextCursor").filter(|cursor| !cursor.is_null()).cloned()
}

/// Parameters of a list that is asked for on the same terms as the call.
fn list_params(cursor: Option<Value>, params: &Params) -> Params {
    let mut list = Params::new();
    if let Some(cursor) = cursor {
        list.insert("cursor".to_owned(), cursor);
    }
    let meta = params.get("_meta").and_then(Value::as_object).into_iter().flatten();
    let meta: Params = meta
        .filter(|(name, _)| name.starts_with(OF_REVISIONS))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !meta.is_empty() {
        list.insert("_meta".to_owned(), Value::Object(meta));
    }
    list
}
