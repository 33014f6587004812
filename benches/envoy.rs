//! What a decision adds to a call through the real Envoy: calls of an MCP tool over two routes of one Envoy to one upstream, on one
//! connection each and in turn, of which one asks Mandate and the other does not.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use mandate::app::{self, Stop};
use mandate::config::{Config, Listen, Overrides};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

type Attempt<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Longest time for Envoy to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Call pairs before anything is measured.
const WARM_UP: usize = 500;

/// Target of the difference at the 99th percentile.
const TARGET: Duration = Duration::from_millis(3);

/// What a decision adds to a call through Envoy.
#[derive(Debug, Parser)]
struct Options {
    /// How long to measure, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Cargo says so to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Attempt<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/tools/py/bin/envoy");
    if !program.is_file() {
        anstream::eprintln!("NOT MEASURED: no Envoy; run `make envoy`");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mandate = Mandate::start(root, folder.path())?;
    let upstream = upstream()?;
    let envoy = Envoy::start(root, &program, folder.path(), mandate.address, upstream)?;
    let (mut asking, mut free) = (envoy.client("/fetch/mcp")?, envoy.client("/free/mcp")?);
    for _ in 0..WARM_UP {
        asking.call()?;
        free.call()?;
    }
    let mut times = [Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?];
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(options.seconds) {
        for (client, times) in [&mut asking, &mut free].into_iter().zip(&mut times) {
            times.record(u64::try_from(client.call()?.as_nanos())?)?;
        }
    }
    drop(envoy);
    mandate.stop()?;
    report(&times)
}

fn report([asking, free]: &[Histogram<u64>; 2]) -> Attempt<()> {
    let micros = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64() * 1e6;
    anstream::println!("{} calls of each kind, one after the other, µs", asking.len());
    anstream::println!("{:>8} {:>10} {:>10} {:>10}", "", "asking", "without", "added");
    let mut added = Vec::new();
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        let (with, without) = (asking.value_at_quantile(quantile), free.value_at_quantile(quantile));
        let (with, without) = (micros(with), micros(without));
        anstream::println!("{name:>8} {with:>10.0} {without:>10.0} {:>10.0}", with - without);
        added.push(serde_json::json!({"quantile": quantile, "asking_us": with, "without_us": without}));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/envoy.json");
    fs::create_dir_all(file.parent().ok_or("no folder")?)?;
    fs::write(&file, serde_json::json!({"calls": asking.len(), "quantiles": added}).to_string())?;
    let p99 = micros(asking.value_at_quantile(0.99)) - micros(free.value_at_quantile(0.99));
    if p99 > TARGET.as_secs_f64() * 1e6 {
        anstream::eprintln!("MISSED: the target for what is added at p99 is {TARGET:?}");
    }
    Ok(())
}

/// The service, in this process, with the example's configuration.
struct Mandate {
    address: SocketAddr,
    stop: mpsc::Sender<Stop>,
    serving: tokio::task::JoinHandle<Result<(), app::StartError>>,
    runtime: Runtime,
}

impl Mandate {
    fn start(root: &Path, folder: &Path) -> Attempt<Self> {
        let at = |name: &str| Some(root.join(name));
        let overrides = Overrides {
            policies: at("policies"),
            schemas: at("schemas"),
            entities: at("entities"),
            emergency: at("emergency"),
            data_directory: Some(folder.join("data")),
            ..Overrides::default()
        };
        let mut config = Config::load(Some(&root.join("examples/envoy/mandate.toml")), overrides)?;
        config.listen = Listen::free();
        let runtime = app::runtime()?;
        let bound = runtime.block_on(app::bind(&config))?;
        let address = bound.addresses.data.to_string().parse()?;
        let (stop, stopped) = mpsc::channel(1);
        let serving = runtime.spawn(bound.run(stopped));
        Ok(Self { address, stop, serving, runtime })
    }

    fn stop(self) -> Attempt<()> {
        self.stop.try_send(Stop::AtOnce)?;
        Ok(self.runtime.block_on(self.serving)??)
    }
}

/// A server that answers every request on its connections with the same few bytes.
fn upstream() -> Attempt<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || answer(connection));
        }
    });
    Ok(address)
}

fn answer(connection: TcpStream) -> Attempt<()> {
    connection.set_nodelay(true)?;
    let mut writing = connection.try_clone()?;
    let mut reading = BufReader::new(connection);
    while let Some((_, length)) = head(&mut reading)? {
        reading.read_exact(&mut vec![0; length])?;
        writing
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")?;
    }
    Ok(())
}

/// The first line of a message of HTTP, and the length of its body; none at the end of the connection.
fn head(reading: &mut BufReader<TcpStream>) -> Attempt<Option<(String, usize)>> {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reading.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_ascii_lowercase();
        match line.strip_prefix("content-length:") {
            Some(digits) => length = digits.trim().parse()?,
            None if line.is_empty() => return Ok(Some((first, length))),
            None if first.is_empty() => first = line,
            None => {}
        }
    }
}

/// Envoy with the example's configuration, and a route on which nobody is asked. Killed when dropped.
struct Envoy {
    child: Child,
    address: SocketAddr,
}

/// A route to the same upstream that is not decided.
const FREE: &str = r#"                      routes:
                        - match: { path: /free/mcp }
                          route: { cluster: mcp, prefix_rewrite: /mcp }
                          typed_per_filter_config:
                            envoy.filters.http.ext_authz:
                              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
                              disabled: true
"#;

impl Envoy {
    fn start(
        root: &Path,
        program: &PathBuf,
        folder: &Path,
        pdp: SocketAddr,
        upstream: SocketAddr,
    ) -> Attempt<Self> {
        let mut text = fs::read_to_string(root.join("examples/envoy/envoy.yaml"))?;
        for (written, meant) in [
            ("port_value: 9901", "port_value: 0".to_owned()),
            ("port_value: 8080", "port_value: 0".to_owned()),
            ("port_value: 4466", format!("port_value: {}", pdp.port())),
            ("port_value: 9000", format!("port_value: {}", upstream.port())),
            ("                      routes:\n", FREE.to_owned()),
        ] {
            text = text.replace(written, &meant);
        }
        let (file, told) = (folder.join("envoy.yaml"), folder.join("admin"));
        fs::write(&file, text)?;
        let child = Command::new(program)
            .args([
                "--concurrency",
                "1",
                "--disable-hot-restart",
                "--log-level",
                "error",
                "--admin-address-path",
            ])
            .arg(&told)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("access.log"))?)
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut envoy = Self { child, address: upstream };
        envoy.address = listening(&told)?;
        Ok(envoy)
    }

    fn client(&self, path: &str) -> Attempt<Client> {
        let writing = TcpStream::connect(self.address)?;
        writing.set_nodelay(true)?;
        let params = serde_json::json!({"name": "fetch", "arguments": {"url": "https://docs.rs/tonic"}});
        let message =
            serde_json::json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
        let message = message.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: house.example\r\ncontent-type: application/json\r\nmcp-method: tools/call\r\n\
             mcp-name: fetch\r\ncontent-length: {}\r\n\r\n{message}",
            message.len()
        );
        let reading = BufReader::new(writing.try_clone()?);
        Ok(Client { writing, reading, request: request.into_bytes() })
    }
}

/// Waits until Envoy listens, and asks it where.
fn listening(told: &Path) -> Attempt<SocketAddr> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
        let admin = fs::read_to_string(told).unwrap_or_default();
        if admin.trim().is_empty() {
            continue;
        }
        let mut answer = ureq::get(format!("http://{}/listeners?format=json", admin.trim())).call()?;
        let listeners: serde_json::Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        let port = listeners.pointer("/listener_statuses/0/local_address/socket_address/port_value");
        if let Some(port) = port.and_then(serde_json::Value::as_u64) {
            return Ok(([127, 0, 0, 1], u16::try_from(port)?).into());
        }
    }
    Err("Envoy does not start".into())
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One connection.
struct Client {
    writing: TcpStream,
    reading: BufReader<TcpStream>,
    request: Vec<u8>,
}

impl Client {
    /// How long a call takes. One that is not let through ends the benchmark.
    fn call(&mut self) -> Attempt<Duration> {
        let begun = Instant::now();
        self.writing.write_all(&self.request)?;
        let (status, length) = head(&mut self.reading)?.ok_or("Envoy hung up")?;
        self.reading.read_exact(&mut vec![0; length])?;
        let took = begun.elapsed();
        if status.contains(" 200 ") { Ok(took) } else { Err(format!("not let through: {status}").into()) }
    }
}
