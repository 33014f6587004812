//! `mandate log story`

use clap::Args;

use super::moment;
use super::place::{PlaceArgs, tell_problem};
use crate::audit::reading::seen::Seen;
use crate::audit::reading::story::{MAX_DECISIONS, Story};
use crate::cli::Exit;
use crate::cli::control::ControlArgs;
use crate::cli::output::{self, FAINT, Format, NAME};

/// Tell one session: what was asked, on whose authority, what was decided and why, what became of it, and what happened
/// meanwhile to whoever took part.
///
/// Exits with 1 if nothing of the session is there, or a part of the log cannot be read.
#[derive(Debug, Args)]
pub(super) struct Tell {
    /// The session.
    #[arg(long, value_name = "ID")]
    session: String,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    control: ControlArgs,
}

impl Tell {
    pub(super) fn run(self, format: Format) -> Exit {
        match self.tell(format) {
            Ok(true) => Exit::Ok,
            Ok(false) => Exit::Failure,
            Err(problem) => {
                output::failure(&problem);
                Exit::Failure
            }
        }
    }

    /// Whether the story is whole.
    fn tell(&self, format: Format) -> Result<bool, String> {
        let folders = self.place.folders(&self.control)?;
        let complete = !self.place.tell_missing(&folders)?;
        let story =
            Story::of(&self.session, &folders, self.place.indexes()).map_err(|error| error.to_string())?;
        story.problems.iter().for_each(|problem| tell_problem(problem));
        if story.is_cut {
            tell_problem(&format_args!(
                "the session has more than {MAX_DECISIONS} decisions; the first are told"
            ));
        }
        if story.moments.is_empty() {
            return Err(format!("nothing of session `{}` is in the log", self.session));
        }
        if format == Format::Text {
            head(&self.session, &story);
        }
        for hit in &story.moments {
            if !moment::tell(&hit.line, format) {
                break;
            }
        }
        Ok(complete && story.problems.is_empty() && !story.is_cut)
    }
}

fn head(session: &str, story: &Story) {
    let (mut allowed, mut denied) = (0, 0);
    for hit in &story.moments {
        let seen = Seen::read(&hit.line);
        match (&*seen.kind, &*seen.decision) {
            ("decision", "allow") => allowed += 1,
            ("decision", _) => denied += 1,
            _ => {}
        }
    }
    anstream::println!("{NAME}session {session}{NAME:#}  {FAINT}{allowed} allowed, {denied} denied{FAINT:#}");
}
