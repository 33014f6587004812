//! Limits on text before Cedar's parser sees it, and a stack large enough for what passes.
//!
//! Cedar's parser recurses on brackets, prefixes and `if`s: about 140 nested parentheses abort a process on a
//! 2 MiB stack, which no `Result` can report. So text is scanned first, everything that parses, validates or
//! drops policies runs on a stack of its own, and what was parsed is measured again (`cedar::depth`).

use std::ops::Range;

/// Deepest nesting of brackets, prefix operators and `if`s in policy or schema text.
pub const MAX_TEXT_NESTING: usize = 64;
/// Deepest abstract syntax tree of one policy's condition. Cedar's evaluator gives up (and its validator silently
/// passes) somewhere above 450 on a 2 MiB stack; this is far below on the stacks Mandate uses.
pub const MAX_POLICY_DEPTH: usize = 200;
/// Longest text of one policy, in bytes: Cedar's parser needs seconds for a megabyte of one expression.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;
/// Largest source file that holds no entities, in bytes.
pub const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;
/// Largest file of entities, in bytes.
pub const MAX_ENTITY_FILE_BYTES: usize = 2 * 1024 * 1024 * 1024;
/// Longest path from an entity to its furthest ancestor.
pub const MAX_ANCESTRY: usize = 100;
/// Deepest nesting of a value in a request, an entity or a case.
pub const MAX_VALUE_DEPTH: usize = 32;
/// Deepest nesting of arguments that are checked against a JSON Schema with references.
pub const MAX_REFERRING_DEPTH: usize = 8;
/// Largest context of a request, unless somebody says otherwise: bytes of keys and strings, and eight for every other value.
pub const MAX_CONTEXT_BYTES: usize = 64 * 1024;
/// Most entities a request may supply, unless somebody says otherwise.
pub const MAX_REQUEST_ENTITIES: usize = 1_000;
/// Most ancestors that a request's entities may have among themselves, counted for each.
pub const MAX_REQUEST_ANCESTORS: usize = 10_000;
/// Most grants in a chain, and most delegations that a request may show.
pub const MAX_CHAIN: usize = 5;
/// Most entities that one decision may have to look at.
pub const MAX_SLICE: usize = 1_000;
/// Deepest nesting of records in an attribute of a stored entity. Cedar checks a stored value against its type in time that
/// doubles with each level.
pub const MAX_RECORD_DEPTH: usize = 10;
/// Most parts a schema's type may unfold to.
pub const MAX_TYPE_NODES: usize = 10_000;
/// Stack for parsing, validating and dropping, in bytes (virtual memory: only what is used is committed).
pub const PARSER_STACK_BYTES: usize = 256 * 1024 * 1024;
/// Stack for threads that evaluate, in bytes: about four times what a policy of [`MAX_POLICY_DEPTH`] needs in a
/// debug build.
pub const WORKER_STACK_BYTES: usize = 16 * 1024 * 1024;

/// Why a text is not given to the parser.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nested deeper than [`MAX_TEXT_NESTING`].
    #[error("nested deeper than {MAX_TEXT_NESTING} levels")]
    TooDeep(Range<usize>),
    /// One policy longer than [`MAX_POLICY_BYTES`].
    #[error("one policy is longer than {MAX_POLICY_BYTES} bytes")]
    PolicyTooLong(Range<usize>),
    /// Not UTF-8.
    #[error("not UTF-8 text")]
    NotUtf8(Range<usize>),
    /// A byte order mark or NUL, which editors hide.
    #[error("holds {name}, which no source may")]
    ForbiddenCharacter {
        /// The character, in words.
        name: &'static str,
        /// Where it is, in bytes.
        at: Range<usize>,
    },
    /// Larger than its limit.
    #[error("is {size} bytes long; at most {limit} are accepted")]
    TooLong {
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
}

impl Refused {
    /// The bytes to point at, where there are any.
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::TooDeep(at)
            | Self::PolicyTooLong(at)
            | Self::NotUtf8(at)
            | Self::ForbiddenCharacter { at, .. } => Some(at.clone()),
            Self::TooLong { .. } => None,
        }
    }
}

/// The file's text, if it is text at all, of at most [`MAX_FILE_BYTES`].
///
/// # Errors
/// [`Refused`], naming the first offending byte.
pub fn text(bytes: &[u8]) -> Result<&str, Refused> {
    text_within(bytes, MAX_FILE_BYTES)
}

/// The file's text, if it is text at all, of at most so many bytes.
///
/// # Errors
/// [`Refused`], naming the first offending byte.
pub fn text_within(bytes: &[u8], limit: usize) -> Result<&str, Refused> {
    if bytes.len() > limit {
        return Err(Refused::TooLong { size: bytes.len(), limit });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        Refused::NotUtf8(start..start.saturating_add(1).min(bytes.len()))
    })?;
    let hidden = text.char_indices().find_map(|(at, c)| match c {
        '\0' => Some((at, c, "a NUL character")),
        '\u{feff}' => Some((at, c, "a byte order mark")),
        _ => None,
    });
    match hidden {
        Some((at, c, name)) => Err(Refused::ForbiddenCharacter { name, at: at..at + c.len_utf8() }),
        None => Ok(text),
    }
}

/// Which of Cedar's two languages a text is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// Policies.
    Policy,
    /// Schemas, where `<` and `>` are the brackets of `Set<…>`.
    Schema,
}

/// Refuses text nested deeper than [`MAX_TEXT_NESTING`].
///
/// Counts, outside strings and comments, open brackets plus the `if`s and prefix operators that precede an operand
/// inside them. `if` binds as far right as it can, so each one at a bracket level is inside the one before it until
/// a comma, a semicolon or the closing bracket. Prefixes before a bracket count until it closes.
///
/// # Errors
/// [`Refused::TooDeep`] at the token that goes too deep; [`Refused::PolicyTooLong`] at the policy.
pub fn nesting(text: &str, syntax: Syntax) -> Result<(), Refused> {
    scan(text, syntax).map(drop)
}

/// The policies of a text, each from its first token to its semicolon, by looking for semicolons alone; what is left
/// after the last one is one more. Refuses what [`nesting`] refuses.
///
/// # Errors
/// As [`nesting`].
pub fn policies(text: &str) -> Result<Vec<Range<usize>>, Refused> {
    scan(text, Syntax::Policy)
}

fn scan(text: &str, syntax: Syntax) -> Result<Vec<Range<usize>>, Refused> {
    let mut depth = Depth::default();
    let mut tokens = Tokens { bytes: text.as_bytes(), at: 0, syntax };
    let mut policy_start = 0;
    let mut first_token = None;
    let mut policies = Vec::new();
    while let Some((token, at)) = tokens.next_token() {
        depth.see(token);
        if depth.total() > MAX_TEXT_NESTING {
            return Err(Refused::TooDeep(at..at + 1));
        }
        if syntax == Syntax::Policy && at - policy_start > MAX_POLICY_BYTES {
            return Err(Refused::PolicyTooLong(policy_start..policy_start + 1));
        }
        let first = *first_token.get_or_insert(at);
        if token == Token::Separator && tokens.bytes.get(at) == Some(&b';') {
            policy_start = at + 1;
            policies.push(first..policy_start);
            first_token = None;
        }
    }
    policies.extend(first_token.map(|first| first..text.len()));
    Ok(policies)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    If,
    Prefix,
    Separator,
    Other,
}

/// Nesting so far. Opening a bracket remembers the nesting outside it, which closing it restores.
#[derive(Default)]
struct Depth {
    outside: Vec<usize>,
    /// Nesting just inside each open bracket, to which a separator returns.
    opened: Vec<usize>,
    inside: usize,
    prefixes: usize,
}

impl Depth {
    fn see(&mut self, token: Token) {
        match token {
            Token::Prefix => self.prefixes += 1,
            Token::Open => {
                self.outside.push(self.inside);
                self.inside += 1 + self.prefixes;
                self.opened.push(self.inside);
            }
            Token::Close => {
                self.opened.pop();
                self.inside = self.outside.pop().unwrap_or(0);
            }
            Token::If => self.inside += 1 + self.prefixes,
            Token::Separator => self.inside = self.opened.last().copied().unwrap_or(0),
            Token::Other => {}
        }
        if token != Token::Prefix {
            self.prefixes = 0;
        }
    }

    fn total(&self) -> usize {
        self.inside + self.prefixes
    }
}

struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
    syntax: Syntax,
}

impl Tokens<'_> {
    fn next_token(&mut self) -> Option<(Token, usize)> {
        loop {
            let start = self.at;
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => self.skip_string(),
                b'/' if self.peek() == Some(b'/') => {
                    // Cedar's lexer ends a comment at either.
                    self.skip_while(|byte| byte != b'\n' && byte != b'\r');
                    continue;
                }
                byte if byte.is_ascii_whitespace() => continue,
                _ => {}
            }
            return Some((self.classify(byte, start), start));
        }
    }

    fn classify(&mut self, byte: u8, start: usize) -> Token {
        let schema = self.syntax == Syntax::Schema;
        match byte {
            b'(' | b'[' | b'{' => Token::Open,
            b')' | b']' | b'}' => Token::Close,
            b'<' if schema => Token::Open,
            b'>' if schema => Token::Close,
            b',' | b';' => Token::Separator,
            b'!' | b'-' => Token::Prefix,
            byte if is_word(byte) => {
                self.skip_while(is_word);
                match self.bytes.get(start..self.at) {
                    Some(b"if") => Token::If,
                    _ => Token::Other,
                }
            }
            _ => Token::Other,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn skip_string(&mut self) {
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Runs `work` on a thread with [`PARSER_STACK_BYTES`] of stack and returns what it returned.
///
/// # Errors
/// [`StackUnavailable`] when the system gives no such thread, or `work` panicked.
pub fn on_parser_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, StackUnavailable> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("mandate-parse".to_owned())
            .stack_size(PARSER_STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| StackUnavailable(error.to_string()))?;
        thread.join().map_err(|_panic| StackUnavailable("the parser panicked".to_owned()))
    })
}

/// No thread to parse on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot parse: {0}")]
pub struct StackUnavailable(pub(super) String);

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(open: &str, close: &str, levels: usize) -> String {
        format!("{}1{}", open.repeat(levels), close.repeat(levels))
    }

    #[track_caller]
    fn check_limit(syntax: Syntax, shape: impl Fn(usize) -> String, limit: usize) {
        assert_eq!(nesting(&shape(limit), syntax), Ok(()), "at the limit");
        assert!(nesting(&shape(limit + 1), syntax).is_err(), "one above the limit");
    }

    #[test]
    fn brackets_prefixes_and_ifs_count_alike() {
        for (open, close) in [("(", ")"), ("[", "]"), ("{a:", "}"), ("!", ""), ("-", "")] {
            check_limit(Syntax::Policy, |n| nested(open, close, n), MAX_TEXT_NESTING);
        }
        check_limit(Syntax::Policy, |n| "if a then b else ".repeat(n), MAX_TEXT_NESTING);
        check_limit(Syntax::Policy, |n| nested("!(", ")", n), MAX_TEXT_NESTING / 2);
        check_limit(Syntax::Policy, |n| nested("if (", ") then a else b", n), MAX_TEXT_NESTING / 2);
        check_limit(Syntax::Schema, |n| nested("Set<", ">", n), MAX_TEXT_NESTING);
    }

    #[test]
    fn siblings_strings_and_comments_do_not_nest() {
        for flat in
            ["(1)", "\"((((\"", "// ((((\n", "if a then b else c;", "[!a, if a then b else c],", "a < b > c"]
        {
            assert_eq!(nesting(&flat.repeat(500), Syntax::Policy), Ok(()), "{flat}");
        }
    }

    #[test]
    fn a_comment_ends_where_cedar_ends_it() {
        for end in ['\n', '\r'] {
            let text = format!("// comment{end}{}", "(".repeat(500));
            assert!(nesting(&text, Syntax::Policy).is_err(), "{end:?}");
            assert!(nesting(&text, Syntax::Schema).is_err(), "{end:?}");
        }
    }

    #[test]
    fn prefixes_before_a_bracket_count_after_a_comma_too() {
        let text = format!("{}[1, {}", "!".repeat(40), "(".repeat(40));
        assert!(nesting(&text, Syntax::Policy).is_err());
    }

    #[test]
    fn one_policy_has_a_length_and_many_have_none() {
        let long =
            format!("permit(principal, action, resource) when {{ {} true }};", "true && ".repeat(40_000));
        assert!(matches!(nesting(&long, Syntax::Policy), Err(Refused::PolicyTooLong(_))));
        let many = "permit(principal, action, resource);".repeat(20_000);
        assert_eq!(nesting(&many, Syntax::Policy), Ok(()));
    }

    #[test]
    fn policies_end_at_semicolons_outside_strings_and_comments() {
        let text = " // a;\n@id(\"b;\\\";\") permit(c); // d;\r forbid ; ;; // e;\n rest \"f;";
        let found: Vec<_> = policies(text).unwrap().into_iter().map(|span| text.get(span).unwrap()).collect();
        assert_eq!(found, ["@id(\"b;\\\";\") permit(c);", "forbid ;", ";", ";", "rest \"f;"]);
        assert_eq!(policies("// nothing;\n"), Ok(Vec::new()));
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_string() {
        let text = format!("\"\\\"{}", "(".repeat(500));
        assert_eq!(nesting(&text, Syntax::Policy), Ok(()));
    }

    #[test]
    fn hidden_characters_and_bytes_that_are_not_text_are_named() {
        assert!(matches!(text(b"a\0b"), Err(Refused::ForbiddenCharacter { at, .. }) if at == (1..2)));
        assert!(
            matches!(text("\u{feff}a".as_bytes()), Err(Refused::ForbiddenCharacter { at, .. }) if at == (0..3))
        );
        assert!(matches!(text(b"ab\xff"), Err(Refused::NotUtf8(at)) if at == (2..3)));
    }
}
