//! A client that checks every answer.

use std::sync::Arc;
use std::time::Duration;

use mandate::server::pb::AuthorizeResponse;
use prost::Message;

use crate::Attempt;
use crate::caller::Caller;
use crate::checked::{Checked, METHOD};
use crate::load::{self, Ask, Shape, Source, Tally};
use crate::workload::{Asked, Workload};

/// Connections to a server, and what it must answer.
#[derive(Debug)]
pub(crate) struct Client {
    connections: Vec<Connection>,
    shape: Shape,
}

impl Client {
    /// Connects, and takes the generation of the first answer as the one every answer must come from.
    ///
    /// # Errors
    /// The server cannot be reached or refuses the first request.
    pub(crate) async fn connect(url: &str, shape: Shape, workload: &Arc<Workload>) -> Attempt<Self> {
        let mut connections = Vec::new();
        let mut generation = Arc::from("");
        for _ in 0..shape.connections {
            let (caller, workload) = (Caller::connect(url).await?, Arc::clone(workload));
            let mut connection = Connection { caller, generation: Arc::clone(&generation), workload };
            if generation.is_empty() {
                generation = connection.generation().await?;
                connection.generation = Arc::clone(&generation);
            }
            connections.push(connection);
        }
        if generation.is_empty() {
            return Err("the server's answers name no generation".into());
        }
        Ok(Self { connections, shape })
    }

    /// The whole answers to every request of the workload, in its order.
    ///
    /// # Errors
    /// A call fails, or an answer is another than expected.
    pub(crate) async fn answers(&self) -> Attempt<Vec<AuthorizeResponse>> {
        let mut connection = self.connections.first().ok_or("there is no connection")?.clone();
        let mut answers = Vec::new();
        for (number, asked) in Arc::clone(&connection.workload).requests.iter().enumerate() {
            connection.ask(number).await?;
            answers.push(connection.call::<AuthorizeResponse>(asked).await?);
        }
        Ok(answers)
    }

    /// Keeps every stream of every connection busy until `count` calls have been made.
    ///
    /// # Errors
    /// The client itself fails; what the server does wrong is in the tally.
    pub(crate) async fn saturate(&self, count: usize) -> Attempt<Tally> {
        load::saturate(&self.connections, self.shape.streams, move |number| number >= count).await
    }

    /// Makes `rate` calls a second for a time.
    ///
    /// # Errors
    /// The client itself fails; what the server does wrong is in the tally.
    pub(crate) async fn pace(&self, rate: u32, time: Duration) -> Attempt<Tally> {
        load::pace(&self.connections, rate, time).await
    }
}

/// One connection, and the generation that must answer on it.
#[derive(Debug, Clone)]
struct Connection {
    caller: Caller,
    generation: Arc<str>,
    workload: Arc<Workload>,
}

impl Ask for Connection {
    async fn ask(&mut self, number: usize) -> Result<Source, String> {
        let workload = Arc::clone(&self.workload);
        let asked = workload.turn(number);
        let answer: Checked = self.call(asked).await.map_err(|error| error.to_string())?;
        answer.check((asked.expected, &asked.id, &self.generation))
    }
}

impl Connection {
    /// The generation that answers.
    async fn generation(&mut self) -> Attempt<Arc<str>> {
        let workload = Arc::clone(&self.workload);
        let first = workload.requests.first().ok_or("there is nothing to ask")?;
        Ok(self.call::<Checked>(first).await?.generation.into())
    }

    async fn call<M: Message + Default>(&mut self, asked: &Asked) -> Attempt<M> {
        self.caller.call(METHOD, &asked.bytes).await
    }
}
