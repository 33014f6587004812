//! Where a benchmark ran: figures mean little without it.

use std::fmt;
use std::fs;
use std::process::Command;

use serde::Serialize;

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// The day, in UTC.
    date: String,
    processors: usize,
    model: String,
    kernel: String,
    rustc: String,
    /// Processes that wanted to run at the end, on average over 1, 5 and 15 minutes.
    pub(crate) load: String,
}

impl Machine {
    /// This one, now.
    pub(crate) fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
        let said = |program: &str, arguments: &[&str]| {
            let said = Command::new(program).args(arguments).output().map(|output| output.stdout);
            String::from_utf8_lossy(&said.unwrap_or_default()).trim().to_owned()
        };
        Self {
            date: said("date", &["-u", "+%F"]),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            model: model.unwrap_or("of unknown model").to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            rustc: said("rustc", &["--version"]),
            load: read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" "),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, processors, model, kernel, rustc, load } = self;
        write!(f, "{date}, {processors} processors ({model}), Linux {kernel}, {rustc}, load {load}")
    }
}
