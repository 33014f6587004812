//! `[log]`, as far as it says who signs the log and to whom checkpoints are shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use crate::audit::tree::notary::NotaryConfig;
use crate::audit::tree::witness::WitnessConfig;
use crate::outbound;

/// Most witnesses: each is a thread.
const MAX_WITNESSES: usize = 8;
/// How often new records are signed, unless something else is written, in seconds.
const DEFAULT_SECONDS: u64 = 5;
const MAX_SECONDS: u64 = 3600;

/// The keys of `[log]` that say who signs, as they are written.
#[derive(Debug, Default)]
pub(super) struct WrittenNotary {
    pub(super) key: Option<PathBuf>,
    pub(super) previous_key: Option<PathBuf>,
    pub(super) name: Option<String>,
    pub(super) checkpoint_seconds: Option<u64>,
    pub(super) witnesses: Vec<WrittenWitness>,
}

/// One of `[[log.witnesses]]`, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WrittenWitness {
    /// A folder, on storage that others hold.
    directory: Option<PathBuf>,
    /// A server that takes checkpoints by POST.
    url: Option<String>,
    /// Authorities to trust for `url`, in PEM, instead of the system's.
    ca_file: Option<PathBuf>,
}

impl WrittenNotary {
    /// What it means; keys are in the data directory unless something else is written.
    pub(super) fn meaning(self, data_directory: &Path) -> Result<NotaryConfig, ConfigError> {
        let refuse = |key, value: String, limit| Err(ConfigError::OutOfRange { key, value, limit });
        let seconds = self.checkpoint_seconds.unwrap_or(DEFAULT_SECONDS);
        if !(1..=MAX_SECONDS).contains(&seconds) {
            let limit = "it must be between 1 and 3600 seconds";
            return refuse("log.checkpoint_seconds", seconds.to_string(), limit);
        }
        if self.witnesses.len() > MAX_WITNESSES {
            let number = format!("{} places", self.witnesses.len());
            return refuse("log.witnesses", number, "there must be at most 8");
        }
        if let Some(name) = self.name.as_ref().filter(|name| !is_name(name)) {
            let limit = "it must have neither spaces nor `+`, and not be empty";
            return refuse("log.name", format!("{name:?}"), limit);
        }
        let witnesses = self.witnesses.into_iter().enumerate();
        Ok(NotaryConfig {
            key: self.key.unwrap_or_else(|| data_directory.join("keys/log.key")),
            previous_key: self.previous_key,
            name: self.name,
            every: Duration::from_secs(seconds),
            witnesses: witnesses.map(|(place, witness)| witness.meaning(place)).collect::<Result<_, _>>()?,
        })
    }
}

fn is_name(name: &str) -> bool {
    let forbidden = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '+';
    !name.is_empty() && !name.chars().any(forbidden)
}

impl WrittenWitness {
    fn meaning(self, place: usize) -> Result<WitnessConfig, ConfigError> {
        let wrong = |problem: String| ConfigError::Witness { place, problem };
        match (self.directory, self.url, self.ca_file) {
            (Some(directory), None, None) => Ok(WitnessConfig::Directory(directory)),
            (None, Some(url), ca_file) => {
                let url = outbound::url(&url).map_err(|problem| wrong(format!("`url` {problem}")))?;
                if ca_file.is_some() && url.scheme_str() == Some("http") {
                    return Err(wrong("`ca_file` is for https URLs".to_owned()));
                }
                Ok(WitnessConfig::Url { url, ca_file })
            }
            (Some(_), None, Some(_)) => Err(wrong("`ca_file` is for a `url`".to_owned())),
            _ => Err(wrong("must have either `directory` or `url`".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(witnesses: &str) -> Result<NotaryConfig, ConfigError> {
        #[derive(Deserialize)]
        struct Written {
            witnesses: Vec<WrittenWitness>,
        }
        let written: Written = serde_json::from_str(&format!("{{\"witnesses\":{witnesses}}}")).unwrap();
        let notary = WrittenNotary { witnesses: written.witnesses, ..WrittenNotary::default() };
        notary.meaning(Path::new("data"))
    }

    #[test]
    fn nothing_written_is_a_key_in_the_data_directory_and_no_witness() {
        let meaning = WrittenNotary::default().meaning(Path::new("data")).unwrap();
        assert_eq!(meaning.key, Path::new("data/keys/log.key"));
        assert_eq!((meaning.every, meaning.name, meaning.previous_key), (Duration::from_secs(5), None, None));
        assert!(meaning.witnesses.is_empty());
    }

    #[test]
    fn a_witness_is_a_folder_or_a_server() {
        let meaning =
            written(r#"[{"directory": "w"}, {"url": "https://w.example/c", "ca_file": "ca.pem"}]"#).unwrap();
        let url = "https://w.example/c".parse().unwrap();
        let server = WitnessConfig::Url { url, ca_file: Some("ca.pem".into()) };
        assert_eq!(meaning.witnesses, [WitnessConfig::Directory("w".into()), server]);
        for wrong in [
            "[{}]",
            r#"[{"directory": "w", "url": "https://w.example"}]"#,
            r#"[{"directory": "w", "ca_file": "c"}]"#,
            r#"[{"url": "w.example"}]"#,
            r#"[{"url": "https://me:secret@w.example"}]"#,
            r#"[{"url": "http://w.example", "ca_file": "c"}]"#,
        ] {
            let refused = written(wrong).unwrap_err();
            assert!(refused.to_string().starts_with("`log.witnesses[0]` "), "{wrong}: {refused}");
            assert!(!refused.to_string().contains("secret"));
        }
        assert!(written(&format!("[{}]", [r#"{"directory":"w"}"#; 9].join(","))).is_err());
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for seconds in [0, 3601] {
            let notary = WrittenNotary { checkpoint_seconds: Some(seconds), ..WrittenNotary::default() };
            assert!(notary.meaning(Path::new("data")).is_err(), "{seconds}");
        }
        for name in ["", "two words", "a+b", "a\nb"] {
            let notary = WrittenNotary { name: Some(name.to_owned()), ..WrittenNotary::default() };
            assert!(notary.meaning(Path::new("data")).is_err(), "{name:?}");
        }
    }
}
