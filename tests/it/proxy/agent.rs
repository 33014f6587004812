//! An agent that speaks MCP to `mandate proxy`, word by word.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::binary;

/// Longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent, and the proxy that it has started.
pub(super) struct Agent {
    proxy: Child,
    to_proxy: Option<ChildStdin>,
    from_proxy: mpsc::Receiver<Value>,
    said: std::thread::JoinHandle<String>,
    last: i64,
    /// What came that was no answer to a request.
    pub(super) heard: Vec<Value>,
}

/// How a proxy ended.
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) said: String,
}

impl Agent {
    /// Starts a proxy; says nothing to it yet.
    pub(super) fn start(arguments: &[OsString]) -> Self {
        let mut proxy = Command::new(binary())
            .arg("proxy")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the proxy starts");
        let lines = BufReader::new(proxy.stdout.take().unwrap()).lines();
        let (sender, from_proxy) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let message = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut stderr = proxy.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut said = String::new();
            drop(stderr.read_to_string(&mut said));
            said
        });
        let to_proxy = proxy.stdin.take();
        Self { proxy, to_proxy, from_proxy, said, last: 0, heard: Vec::new() }
    }

    /// Starts a proxy and a session; what the server says of itself.
    pub(super) fn begin(arguments: &[OsString]) -> (Self, Value) {
        let mut agent = Self::start(arguments);
        let hello = agent.hello();
        (agent, hello)
    }

    pub(super) fn hello(&mut self) -> Value {
        let capabilities = json!({"roots": {"listChanged": true}, "sampling": {}, "elicitation": {}});
        let hello = self.ask(
            "initialize",
            json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "test", "version": "7"}}),
        );
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        hello
    }

    pub(super) fn say(&mut self, message: &Value) {
        self.write(&message.to_string());
    }

    pub(super) fn write(&mut self, line: &str) {
        let pipe = self.to_proxy.as_mut().unwrap();
        // A proxy that has ended takes nothing, which shows when it does not answer.
        drop(writeln!(pipe, "{line}").and_then(|()| pipe.flush()));
    }

    /// Asks, and gives the id to wait for.
    pub(super) fn begin_asking(&mut self, method: &str, params: Value) -> i64 {
        self.last += 1;
        self.say(&json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}));
        self.last
    }

    /// Asks, and waits for the answer: the whole message.
    pub(super) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin_asking(method, params);
        self.answer(id)
    }

    pub(super) fn answer(&mut self, id: i64) -> Value {
        let is_answer = |message: &Value| message["id"] == json!(id) && message.get("method").is_none();
        if let Some(early) = self.heard.iter().position(is_answer) {
            return self.heard.remove(early);
        }
        loop {
            let message = self.hear();
            if is_answer(&message) {
                return message;
            }
            self.heard.push(message);
        }
    }

    /// The next message, whatever it is.
    #[track_caller]
    pub(super) fn hear(&mut self) -> Value {
        self.from_proxy.recv_timeout(PATIENCE).expect("a message")
    }

    /// Calls a tool: its result.
    #[track_caller]
    pub(super) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        answer.get("result").cloned().unwrap_or_else(|| panic!("no result: {answer}"))
    }

    /// The names of all tools that it is shown.
    pub(super) fn tools(&mut self) -> Vec<String> {
        let mut cursor = Value::Null;
        let mut names = Vec::new();
        loop {
            let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
            let answer = self.ask("tools/list", params);
            let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("no list: {answer}"));
            names.extend(tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
            cursor = answer["result"]["nextCursor"].clone();
            if cursor.is_null() {
                return names;
            }
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.proxy.id()).unwrap()), signal).unwrap();
    }

    /// Goes, and waits for the proxy's end.
    pub(super) fn go(mut self) -> Ended {
        drop(self.to_proxy.take());
        self.ended()
    }

    /// Waits for the proxy's end.
    pub(super) fn ended(mut self) -> Ended {
        let begun = Instant::now();
        let code = loop {
            match self.proxy.try_wait().unwrap() {
                Some(status) => break status.code(),
                None => assert!(begun.elapsed() < PATIENCE, "the proxy does not end"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let said = std::mem::replace(&mut self.said, std::thread::spawn(String::new)).join().unwrap();
        Ended { code, said }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Its own process, which may have ended.
        let _ended = self.proxy.kill();
        let _status = self.proxy.wait();
    }
}

/// Whether a call was denied, and what the model reads.
#[track_caller]
pub(super) fn denial(result: &Value) -> (String, String) {
    assert_eq!(result["isError"], true, "{result}");
    let code =
        result["_meta"]["mandate/denied"]["code"].as_str().unwrap_or_else(|| panic!("not denied: {result}"));
    (code.to_owned(), text(result).to_owned())
}

/// What a result says.
#[track_caller]
pub(super) fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"))
}
