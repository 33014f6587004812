//! Expressions of everything that the language has, most of them well typed, over entities of which some are absent.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What nobody stored.
pub(super) const ABSENT: [&str; 4] = ["U::\"nobody\"", "G::\"ghost\"", "N::T::\"ü\"", "Action::\"none\""];

fn to(kind: &str, id: &str) -> Value {
    json!({"__entity": {"type": kind, "id": id}})
}

fn extension(function: &str, text: &str) -> Value {
    json!({"__extn": {"fn": function, "arg": text}})
}

/// Two people, a thing, groups within each other, an action within another.
pub(super) fn entities() -> Value {
    let rich = json!({
        "level": 3, "name": "ana", "active": true, "boss": to("U", "bo"), "lost": to("U", "nobody"),
        "names": ["ana", "ü🦀", "a*b"], "levels": [1, 2, 3], "mixed": [1, "a", [true], to("U", "bo")],
        "home": {"inner": {"deep": 1}, "ü": "ü", "who": to("U", "bo")},
        "ip": extension("ip", "10.1.2.3"), "price": extension("decimal", "1.50"),
        "since": extension("datetime", "2026-01-01"), "term": extension("duration", "1h30m"),
    });
    let many: Vec<_> = (0..20).collect();
    json!([
        {"uid": to("U", "ana"), "attrs": rich, "parents": [to("G", "g1")],
         "tags": {"a": 1, "ü🦀": "ü", "": to("U", "bo")}},
        {"uid": to("U", "bo"), "attrs": {"level": i64::MAX, "name": "", "boss": to("U", "ana"), "levels": many},
         "parents": [to("G", "ghost")], "tags": {}},
        {"uid": to("N::T", "thing"), "attrs": {"level": -1, "name": "ü🦀", "active": false, "names": []},
         "parents": [to("G", "g2"), to("N::T", "ü")]},
        {"uid": to("G", "g1"), "attrs": {}, "parents": [to("G", "g2")]},
        {"uid": to("G", "g2"), "attrs": {"level": 0}, "parents": []},
        {"uid": to("Action", "read"), "attrs": {}, "parents": [to("Action", "all")]},
        {"uid": to("Action", "all"), "attrs": {}, "parents": []},
    ])
}

/// Who asks for what of what, and in which circumstances.
pub(super) fn requests() -> Vec<([&'static str; 3], Value)> {
    let full = json!({
        "flag": true, "level": 2, "name": "ü🦀", "boss": to("U", "bo"), "names": ["a", "ana"], "levels": [],
        "mixed": [extension("decimal", "1.5"), 1, {"a": 1}], "home": {"inner": {}, "who": to("U", "nobody")},
        "ip": extension("ip", "2001:db8::/32"), "price": extension("decimal", "-0.0001"),
        "since": extension("datetime", "2026-11-22T10:00:00.123Z"), "term": extension("duration", "-1d"),
        "key": "a", "active": false, "set": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    });
    let other = json!({"flag": false, "level": i64::MIN, "name": "a", "key": "ü🦀", "boss": to("U", "ana"),
        "since": extension("datetime", "1969-12-31T23:59:59.999Z"), "names": ["ü🦀"], "levels": [3, 2, 1]});
    vec![
        (["U::\"ana\"", "Action::\"read\"", "N::T::\"thing\""], full),
        (["U::\"bo\"", "Action::\"all\"", "U::\"ana\""], other),
        (["U::\"nobody\"", "Action::\"none\"", "N::T::\"ü\""], json!({"flag": true})),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Truth,
    Long,
    Text,
    Entity,
    Set,
    Record,
    Ip,
    Decimal,
    Datetime,
    Duration,
}

const KINDS: [Kind; 10] = [
    Kind::Truth,
    Kind::Long,
    Kind::Text,
    Kind::Entity,
    Kind::Set,
    Kind::Record,
    Kind::Ip,
    Kind::Decimal,
    Kind::Datetime,
    Kind::Duration,
];

/// A condition's text.
pub(super) fn condition() -> impl Strategy<Value = String> {
    (vec(any::<u16>(), 120), 1_usize..5)
        .prop_map(|(numbers, depth)| Dice { numbers, at: 0 }.expression(Kind::Truth, depth))
}

/// Numbers to choose by; once they run out, the first choice is taken.
struct Dice {
    numbers: Vec<u16>,
    at: usize,
}

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        let number = self.numbers.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(number) % count
    }

    fn one<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    fn any(&mut self, depth: usize) -> String {
        let kind = KINDS[self.below(KINDS.len())];
        self.expression(kind, depth)
    }

    /// An expression, seldom of another kind than is asked for.
    fn expression(&mut self, kind: Kind, depth: usize) -> String {
        if self.below(40) == 39 {
            return self.any(depth.saturating_sub(1));
        }
        if depth == 0 || self.below(6) == 5 {
            return self.leaf(kind);
        }
        let below = depth - 1;
        if self.below(9) == 8 {
            let test = self.expression(Kind::Truth, below);
            let (one, other) = (self.expression(kind, below), self.expression(kind, below));
            return format!("(if {test} then {one} else {other})");
        }
        if self.below(9) == 8 {
            let (held, other) = (self.expression(kind, below), self.any(below));
            return format!("{{a: {held}, \"ü\": {other}}}.a");
        }
        match kind {
            Kind::Truth => self.truth(below),
            Kind::Long => self.long(below),
            Kind::Set => {
                let elements: Vec<_> = (0..self.below(4)).map(|_| self.any(below)).collect();
                format!("[{}]", elements.join(", "))
            }
            Kind::Record => {
                let (one, other) = (self.any(below), self.any(below));
                format!("{{a: {one}, \"in\": {other}}}")
            }
            Kind::Entity | Kind::Text => {
                let (of, key) = (self.expression(Kind::Entity, below), self.expression(Kind::Text, below));
                match kind {
                    Kind::Entity if self.below(2) == 0 => format!("{of}.boss"),
                    Kind::Text if self.below(2) == 0 => format!("{of}.name"),
                    _ => format!("{of}.getTag({key})"),
                }
            }
            Kind::Datetime => {
                let (of, by) = (self.expression(kind, below), self.expression(Kind::Duration, below));
                if self.below(2) == 0 { format!("{of}.offset({by})") } else { format!("{of}.toDate()") }
            }
            Kind::Duration => {
                let (of, to) =
                    (self.expression(Kind::Datetime, below), self.expression(Kind::Datetime, below));
                if self.below(2) == 0 {
                    format!("{of}.durationSince({to})")
                } else {
                    format!("{of}.toTime()")
                }
            }
            Kind::Ip | Kind::Decimal => self.leaf(kind),
        }
    }

    fn leaf(&mut self, kind: Kind) -> String {
        let attribute = |of: &str, name: &str| format!("{of}.{name}");
        let root = self.one(&["context", "principal", "resource", "context.boss", "U::\"ana\""]);
        let name = match kind {
            Kind::Truth => self.one(&["active", "flag"]),
            Kind::Long => "level",
            Kind::Text => self.one(&["name", "name", "key"]),
            Kind::Entity => self.one(&["boss", "boss", "lost", "home.who"]),
            Kind::Set => self.one(&["names", "levels", "mixed", "set"]),
            Kind::Record => "home",
            Kind::Ip => "ip",
            Kind::Decimal => "price",
            Kind::Datetime => "since",
            Kind::Duration => "term",
        };
        if self.below(2) == 0 {
            return attribute(root, name);
        }
        self.one(literals(kind)).to_owned()
    }

    fn long(&mut self, below: usize) -> String {
        let (one, other) = (self.expression(Kind::Long, below), self.expression(Kind::Long, below));
        match self.below(6) {
            0 => format!("({one} + {other})"),
            1 => format!("({one} - {other})"),
            2 => format!("({one} * {other})"),
            3 => format!("-({one})"),
            4 => {
                let unit = self.one(&["Milliseconds", "Seconds", "Minutes", "Hours", "Days"]);
                format!("{}.to{unit}()", self.expression(Kind::Duration, below))
            }
            _ => format!("{}.getTag(\"a\")", self.expression(Kind::Entity, below)),
        }
    }

    fn truth(&mut self, below: usize) -> String {
        match self.below(15) {
            0 | 1 => {
                let (one, other) = (self.expression(Kind::Truth, below), self.expression(Kind::Truth, below));
                format!("({one} {} {other})", self.one(&["&&", "||"]))
            }
            2 => format!("!({})", self.expression(Kind::Truth, below)),
            3 | 4 => {
                let kind = KINDS[self.below(KINDS.len())];
                let (one, other) = (self.expression(kind, below), self.expression(kind, below));
                format!("({one} {} {other})", self.one(&["==", "!="]))
            }
            5 | 6 => {
                let kind = [Kind::Long, Kind::Datetime, Kind::Duration][self.below(3)];
                let (one, other) = (self.expression(kind, below), self.expression(kind, below));
                format!("({one} {} {other})", self.one(&["<", "<=", ">", ">="]))
            }
            7 => {
                let of = if self.below(2) == 0 { Kind::Entity } else { Kind::Set };
                let (one, other) = (self.expression(Kind::Entity, below), self.expression(of, below));
                format!("({one} in {other})")
            }
            8 => format!("{}.contains({})", self.expression(Kind::Set, below), self.any(below)),
            9 => {
                let all = self.one(&["containsAll", "containsAny"]);
                format!("{}.{all}({})", self.expression(Kind::Set, below), self.expression(Kind::Set, below))
            }
            10 => format!("{}.isEmpty()", self.expression(Kind::Set, below)),
            11 => {
                let of = if self.below(2) == 0 { Kind::Entity } else { Kind::Record };
                let path = self.one(&[
                    "level",
                    "boss.level",
                    "home.inner.deep",
                    "\"ü\"",
                    "a",
                    "lost.boss",
                    "level.x",
                ]);
                format!("({} has {path})", self.expression(of, below))
            }
            12 => match self.below(3) {
                0 => {
                    let (of, key) =
                        (self.expression(Kind::Entity, below), self.expression(Kind::Text, below));
                    format!("{of}.hasTag({key})")
                }
                1 => format!("({} is N::T in G::\"g2\")", self.expression(Kind::Entity, below)),
                _ => format!(
                    "({} is {})",
                    self.expression(Kind::Entity, below),
                    self.one(&["U", "N::T", "Action"])
                ),
            },
            13 => {
                let pattern = self.one(&["a*", "*", "", "*🦀", "a\\*b", "*n*", "ü?"]);
                format!("({} like \"{pattern}\")", self.expression(Kind::Text, below))
            }
            _ => self.extended(below),
        }
    }

    fn extended(&mut self, below: usize) -> String {
        if self.below(2) == 0 {
            let (one, other) = (self.expression(Kind::Decimal, below), self.expression(Kind::Decimal, below));
            let compares = self.one(&["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"]);
            return format!("{one}.{compares}({other})");
        }
        let ip = self.expression(Kind::Ip, below);
        match self.below(5) {
            0 => format!("{ip}.isInRange({})", self.expression(Kind::Ip, below)),
            test => format!("{ip}.{}()", ["isIpv4", "isIpv6", "isLoopback", "isMulticast"][test - 1]),
        }
    }
}

/// What is written of a kind, some of which no constructor takes.
fn literals(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Truth => &["true", "false"],
        Kind::Long => &["0", "1", "2", "3", "-1", "9223372036854775807", "(-9223372036854775808)"],
        Kind::Text => {
            &["\"a\"", "\"\"", "\"ü🦀\"", "\"a*b\"", "\"ana\"", "\"of more than what is kept inline\""]
        }
        Kind::Entity => &[
            "principal",
            "resource",
            "action",
            "principal",
            "resource",
            "G::\"g1\"",
            "G::\"g2\"",
            "G::\"ghost\"",
            "U::\"nobody\"",
            "U::\"bo\"",
            "N::T::\"ü\"",
            "Action::\"all\"",
            "Action::\"read\"",
        ],
        Kind::Set => &[
            "[]",
            "[1, 2, 3]",
            "[\"ana\", \"a\"]",
            "[G::\"g1\", G::\"ghost\"]",
            "[principal, G::\"g2\"]",
            "[1, \"a\", [true], U::\"bo\"]",
            "[decimal(\"1.50\"), 1]",
            "[Action::\"all\", U::\"ana\"]",
        ],
        Kind::Record => &["context", "{}", "{a: 1}", "{\"ü\": {deep: principal}}", "{deep: 1}"],
        Kind::Ip => &[
            "ip(\"10.0.0.0/8\")",
            "ip(\"10.1.2.3\")",
            "ip(\"::1\")",
            "ip(\"224.0.0.1\")",
            "ip(context.key)",
            "ip(\"x\")",
        ],
        Kind::Decimal => {
            &["decimal(\"1.5\")", "decimal(\"1.50\")", "decimal(\"-0.0001\")", "decimal(\"1.00001\")"]
        }
        Kind::Datetime => &[
            "datetime(\"2026-01-01\")",
            "datetime(\"1969-12-31T23:59:59Z\")",
            "datetime(\"soon\")",
            "datetime(\"2026-11-22T10:00:00.123Z\")",
            "datetime(\"0000-01-01\")",
        ],
        Kind::Duration => &[
            "duration(\"1h30m\")",
            "duration(\"90m\")",
            "duration(\"-1d\")",
            "duration(\"9223372036854775807ms\")",
        ],
    }
}
